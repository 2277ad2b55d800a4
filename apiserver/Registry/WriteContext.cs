using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>What a strategy may look at beside the object itself.</summary>
internal sealed record WriteContext(RevisionLog Log, ApiServerOptions Options, TimeProvider Time, Random Random)
{
    public CustomResources.CustomKinds Custom { get; } = new(Log, Options.Log);
    public ServiceAllocations Services { get; } = new(Log, Options);
}
