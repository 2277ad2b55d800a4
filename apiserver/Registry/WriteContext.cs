using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>What a strategy may look at beside the object itself.</summary>
internal sealed record WriteContext(RevisionLog Log, ApiServerOptions Options, TimeProvider Time, Random Random)
{
    public ServiceAllocations Services { get; } = new(Log, Options);
}
