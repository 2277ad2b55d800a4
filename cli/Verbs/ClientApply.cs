using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.Api.Wire;

namespace Declarative.Cli.Verbs;

internal enum DryRun
{
    None,

    /// <summary>Nothing but reads is sent.</summary>
    Client,

    /// <summary>The server does everything but store.</summary>
    Server,
}

/// <param name="After">The object as it is, or with a dry run would be; null where only the client knows what would happen.</param>
internal sealed record Applied(string Did, Stored? Before, Stored? After);

/// <summary>
/// Client-side apply as kubectl does it, with its annotation and its field manager, so that either tool goes on where the other has left:
/// GET, then POST with strict validation, or a three-way patch where there is something to change.
/// </summary>
internal static class ClientApply
{
    public const string Annotation = "kubectl.kubernetes.io/last-applied-configuration";
    private const string Manager = "kubectl-client-side-apply";

    /// <summary>Of a patch that meets another writer's change.</summary>
    private const int TriesMax = 5;

    public static async Task<Applied> Apply(IApi api, Manifest manifest, DryRun dryRun, ICollection<string> warnings, CancellationToken stop)
    {
        var options = new WriteOptions { FieldManager = Manager, FieldValidation = FieldValidation.Strict, DryRun = dryRun == DryRun.Server, Warnings = warnings };
        for (var tries = 1; ; tries++)
        {
            try
            {
                return await Once(api, manifest, dryRun, options, stop);
            }
            catch (ApiException e) when (e.IsConflict && tries < TriesMax)
            {
                // Somebody has written between the GET and the PATCH: the next try starts from what they wrote.
            }
        }
    }

    private static async Task<Applied> Once(IApi api, Manifest manifest, DryRun dryRun, WriteOptions options, CancellationToken stop)
    {
        var wanted = Annotated(manifest.Object);
        Stored live;
        try
        {
            live = await api.Get(manifest.Key, stop: stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return new("created", null, dryRun == DryRun.Client ? null : await api.Create(manifest.Key, Bytes(wanted), options, stop));
        }
        var have = JsonNode.Parse(live.Json.Span)!.AsObject();
        var last = Last(have);
        if (last is null)
        {
            options.Warnings?.Add($"resource {manifest.Kind.Plural}/{manifest.Name} is missing the {Annotation} annotation which is required by apply. Apply should only be used on resources created declaratively; the missing annotation is added now.");
        }
        var kind = manifest.Kind;
        var patch = StrategicPatch.Between(last, wanted, have, TypeTable.Kind(kind.Group, kind.Version, kind.Name));
        if (patch.Count == 0) return new("unchanged", live, live);
        return new("configured", live, dryRun == DryRun.Client ? null : await api.Patch(manifest.Key, PatchKind.Strategic, Bytes(patch), options, stop));
    }

    /// <summary>The manifest with itself in the annotation.</summary>
    internal static JsonObject Annotated(JsonObject manifest)
    {
        var wanted = manifest.DeepClone().AsObject();
        var metadata = wanted["metadata"]!.AsObject();
        if (metadata["annotations"] is not JsonObject annotations) metadata["annotations"] = annotations = [];
        annotations.Remove(Annotation);
        // The writer's newline at the end is a part of it.
        annotations[Annotation] = GoJson.Write(wanted) + "\n";
        return wanted;
    }

    /// <summary>The manifest that was applied before, null where the object was not made by apply.</summary>
    private static JsonObject? Last(JsonObject live)
    {
        if (live["metadata"]?["annotations"]?[Annotation] is not JsonValue text) return null;
        try
        {
            return JsonNode.Parse(text.GetValue<string>()) as JsonObject;
        }
        catch (System.Text.Json.JsonException)
        {
            // Somebody has written something else there: nothing is known of the last apply, so nothing is deleted.
            return null;
        }
    }

    internal static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(GoJson.Write(json));
}
