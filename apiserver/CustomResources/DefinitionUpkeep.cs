using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// What follows a change of the definitions: names that have become free are given, and a deleted definition takes its objects along.
/// </summary>
internal sealed class DefinitionUpkeep(RevisionLog log, CustomKinds kinds, Func<ResourceKey, CancellationToken, Task> delete, TimeProvider time)
{
    /// <summary>Ends when <paramref name="stop"/> is set. Its owner awaits it.</summary>
    public Task Run(CancellationToken stop) => Upkeep.Of(log, [Kind.CustomResourceDefinition], Tend, time, stop);

    // True where something is left to be looked at again soon.
    private async Task<bool> Tend(CancellationToken stop)
    {
        var busy = false;
        foreach (var definition in kinds.Definitions) busy |= await Tend(definition, stop);
        return busy;
    }

    private async Task<bool> Tend(CustomDefinition definition, CancellationToken stop)
    {
        var key = new ResourceKey(Kind.CustomResourceDefinition, "", definition.Name);
        if (definition.IsTerminating && Metadata.Of(definition.Json).List("finalizers")?.Any(x => x!.GetValue<string>() == CustomDefinition.CleanupFinalizer) == true)
        {
            foreach (var (_, item) in log.Snapshot(definition.Stored).Objects)
            {
                if (item.Field("metadata.deletionTimestamp").Length == 0) await delete(item.Stored.Key, stop);
            }
            if (log.Snapshot(definition.Stored).Objects.Count > 0) return true;
            return await Write(key, json =>
            {
                var finalizers = Metadata.Of(json).List("finalizers");
                if (finalizers?.FirstOrDefault(x => x!.GetValue<string>() == CustomDefinition.CleanupFinalizer) is { } cleanup) finalizers.Remove(cleanup);
            }, stop);
        }
        var wanted = (JsonObject)definition.Json.DeepClone();
        DefinitionStatus.Set(wanted, kinds.Definitions, time.GetUtcNow());
        if (JsonNode.DeepEquals(wanted["status"], definition.Json["status"])) return false;
        return await Write(key, json => DefinitionStatus.Set(json, kinds.Definitions, time.GetUtcNow()), stop);
    }

    private async Task<bool> Write(ResourceKey key, Action<JsonObject> change, CancellationToken stop)
    {
        if (log.Get(key) is not { } current) return false;
        var json = Canonical.Parse(current.Stored.Json);
        change(json);
        var remove = Metadata.IsDeleting(json) && Metadata.Of(json).List("finalizers") is not { Count: > 0 };
        var bytes = Canonical.Bytes(json, key.Kind);
        var result = await log.Commit(remove ? new(key, current.Stored.Uid, current.Revision, null, bytes) : new(key, current.Stored.Uid, current.Revision, bytes), stop);
        return result.Stored is null;
    }
}
