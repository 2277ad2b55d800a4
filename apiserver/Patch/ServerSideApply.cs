using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>
/// Server-side apply and the ownership of fields (Kubernetes documentation, "Server-Side Apply"). A writer that applies owns exactly the
/// fields it names; what it named before and names no more goes away, unless another owns it. A value that another owns is changed only by force.
/// Every other write owns what it changed. Pure: time is handed in.
/// </summary>
internal static class ServerSideApply
{
    private const string BeforeFirstApply = "before-first-apply";
    private const string Kubectl = "kubectl";
    private const string LastAppliedAnnotation = "kubectl.kubernetes.io/last-applied-configuration";

    /// <param name="live">The object as stored, or empty where it does not exist yet.</param>
    /// <param name="config">The applied configuration, checked by <see cref="SchemaCheck"/>, without what the request may not set (its status, for the object itself).</param>
    /// <param name="force">Take fields over from other owners.</param>
    /// <param name="complete">Gives the merged object its defaults, as the live one has them; asked where another's fields seem to change: a default is no change.</param>
    /// <returns>The object with its managedFields, before defaults and validation. It equals the live object when nothing is changed.</returns>
    /// <exception cref="ApiException">409 with a cause for each conflicting field; 422 for a configuration that sets managedFields or elements without keys.</exception>
    public static byte[] Apply(SchemaType type, ReadOnlyMemory<byte> live, ReadOnlyMemory<byte> config, FieldWriter writer, bool force, DateTimeOffset now, Func<byte[], byte[]>? complete = null)
    {
        var wanted = JsonTree.Parse(config);
        if (wanted["metadata"]?["managedFields"] is { Items.Count: > 0 })
        {
            throw Patches.Unfit("metadata.managedFields must not be set in an applied configuration");
        }

        wanted["metadata"]?.Members?.Remove("managedFields");
        var before = live.IsEmpty ? null : JsonTree.Parse(live);
        var managed = before is null ? new ManagedFields() : ManagedFields.Take(before);
        if (before is not null && managed.Entries.Count == 0)
        {
            managed.Of(new FieldWriter(BeforeFirstApply, writer.ApiVersion), applies: false).Fields = FieldWalk.Of(before, type);
        }

        var place = FieldPlace.Root(type);
        var fields = FieldWalk.Of(wanted, type);
        var merged = ApplyMerge.Merge(before?.Clone(), wanted, place);
        var own = managed.Of(writer, applies: true);
        var changed = before is null ? new() : FieldWalk.Compare(before, merged, type).Changed;
        if (complete is not null && managed.Entries.Any(entry => entry != own && !entry.Fields.Intersect(changed).IsEmpty))
        {
            changed = FieldWalk.Compare(before, JsonTree.Parse(complete(merged.ToBytes())), type).Changed;
        }

        var taken = before is not null && Resolve(managed, own, changed, force, writer.Manager == Kubectl ? LastApplied(before, type) : new());

        var previous = own.Fields;
        own.Fields = fields;
        var kept = managed.Entries.Aggregate(new FieldSet(), (set, entry) => set.Union(entry.Fields));
        ApplyMerge.Remove(merged, place, previous.Except(kept), kept);
        if (before is not null && !taken && previous.SameAs(fields) && IsSame(before, merged, type, complete))
        {
            return live.ToArray();
        }

        own.Time = ManagedFields.Stamp(now);
        managed.Put(merged);
        return merged.ToBytes();
    }

    /// <summary>The bookkeeping of every write that does not apply: the writer owns what it added or changed, nobody owns what it removed.</summary>
    /// <param name="live">The object as stored, or empty for a creation.</param>
    /// <param name="updated">The object as it will be stored, with defaults. Its managedFields, where it has any, replace the live ones; empty ones reset them.</param>
    public static byte[] Track(SchemaType type, ReadOnlyMemory<byte> live, ReadOnlyMemory<byte> updated, FieldWriter writer, DateTimeOffset now)
    {
        var after = JsonTree.Parse(updated);
        var before = live.IsEmpty ? null : JsonTree.Parse(live);
        var given = after["metadata"]?["managedFields"]?.Items;
        if (given is not null && given.All(entry => entry.Members is null or { Count: 0 }))
        {
            ManagedFields.Take(after);
            return after.ToBytes();
        }

        var stored = before is null ? new ManagedFields() : ManagedFields.Take(before);
        var managed = ManagedFields.Take(after);
        if (given is null)
        {
            managed = stored;
        }

        if (given is null && before is not null && JsonTree.Same(before, after))
        {
            return live.ToArray();
        }

        var (changed, removed) = FieldWalk.Compare(before, after, type);
        if (!changed.IsEmpty || !removed.IsEmpty)
        {
            var own = managed.Of(writer, applies: false);
            foreach (var entry in managed.Entries)
            {
                entry.Fields = entry == own
                    ? entry.Fields.Except(removed, below: true).Union(changed)
                    : entry.Fields.Except(changed).Except(removed, below: true);
            }

            own.Time = ManagedFields.Stamp(now);
        }

        managed.Put(after);
        return after.ToBytes();
    }

    // What kubectl has applied on the client's side, and nobody has changed since, is its own: it goes on applying on the server's without a
    // conflict with itself (Kubernetes: fieldmanager/lastappliedmanager).
    private static FieldSet LastApplied(JsonTree before, SchemaType type)
    {
        if (before["metadata"]?["annotations"]?[LastAppliedAnnotation] is not { Kind: JsonValueKind.String } annotation) return new();
        try
        {
            var applied = JsonTree.Parse(Encoding.UTF8.GetBytes(annotation.Text()));
            return applied.Members is null ? new() : FieldWalk.Of(applied, type).Except(FieldWalk.Compare(applied, before, type).Changed);
        }
        catch (Exception unfit) when (unfit is JsonException or ApiException)
        {
            // The annotation is a user's text: one that is no configuration gives no claim.
            return new();
        }
    }

    private static bool IsSame(JsonTree before, JsonTree merged, SchemaType type, Func<byte[], byte[]>? complete)
    {
        if (JsonTree.Same(before, merged)) return true;
        if (complete is null) return false;
        var (changed, removed) = FieldWalk.Compare(before, JsonTree.Parse(complete(merged.ToBytes())), type);
        return changed.IsEmpty && removed.IsEmpty;
    }

    // True when fields were taken over.
    private static bool Resolve(ManagedFields managed, ManagedFieldsEntry own, FieldSet changed, bool force, FieldSet inherited)
    {
        var conflicts = new List<(ManagedFieldsEntry Owner, FieldSet Fields)>();
        var taken = false;
        foreach (var entry in managed.Entries.Where(entry => entry != own))
        {
            var common = entry.Fields.Intersect(changed);
            if (common.IsEmpty)
            {
                continue;
            }

            if (force || common.Except(inherited).IsEmpty)
            {
                entry.Fields = entry.Fields.Except(common);
                taken = true;
            }
            else
            {
                conflicts.Add((entry, common.Except(inherited)));
            }
        }

        if (conflicts.Count > 0)
        {
            throw Conflict(conflicts);
        }

        return taken;
    }

    // kubectl reads the causes; the words "conflict with" are those its users and scripts know.
    private static ApiException Conflict(List<(ManagedFieldsEntry Owner, FieldSet Fields)> conflicts)
    {
        var causes = new List<StatusCause>();
        var lines = new List<string>();
        foreach (var (owner, fields) in conflicts.OrderBy(conflict => conflict.Owner.Writer.Manager, StringComparer.Ordinal))
        {
            var with = $"conflict with \"{owner.Writer.Manager}\""
                + (owner.Writer.Subresource.Length > 0 ? $" with subresource \"{owner.Writer.Subresource}\"" : "")
                + (owner.Applies ? "" : $" using {owner.Writer.ApiVersion}");
            var paths = fields.Paths().ToList();
            causes.AddRange(paths.Select(path => new StatusCause("FieldManagerConflict", with, path)));
            lines.Add(paths.Count == 1 ? $"{with}: {paths[0]}" : $"{with.Replace("conflict ", "conflicts ", StringComparison.Ordinal)}:\n- {string.Join("\n- ", paths)}");
        }

        var message = $"Apply failed with {causes.Count} conflict{(causes.Count == 1 ? "" : "s")}: {string.Join('\n', lines)}";
        return new ApiException(new Status(409, StatusReason.Conflict, message) { Causes = causes });
    }
}
