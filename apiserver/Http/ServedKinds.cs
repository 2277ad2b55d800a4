using Declarative.Api.Kinds;
using Declarative.ApiServer.OpenApi;

namespace Declarative.ApiServer.Http;

/// <summary>What follows from the kinds that are served: URLs, discovery and OpenAPI documents. Made again when a definition has changed.</summary>
internal sealed class ServedKinds(Func<IReadOnlyList<Kind>> kinds, string version)
{
    private readonly Lock _gate = new();
    private State? _state;

    public KindPaths Paths => Current().Paths;
    public Documents Documents => Current().Documents;
    public CustomOpenApi OpenApi => Current().OpenApi;

    private State Current()
    {
        var now = kinds();
        lock (_gate)
        {
            if (_state is null || !ReferenceEquals(_state.Kinds, now))
            {
                _state = new(now, ReferenceEquals(now, Kind.All) ? KindPaths.BuiltIn : new(now), new(version, now), new(now));
            }
            return _state;
        }
    }

    private sealed record State(IReadOnlyList<Kind> Kinds, KindPaths Paths, Documents Documents, CustomOpenApi OpenApi);
}
