using System.Buffers.Text;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>LIST with pages that all belong to one revision.</summary>
internal static class Listing
{
    public static StoredList Of(RevisionLog log, ListRequest request)
    {
        var selection = new Selection(request.Kind, request.Namespace, request.Labels, request.Fields);
        var kind = CustomResources.CustomKind.StoredAs(request.Kind);
        var (objects, revision) = log.Snapshot(kind);
        ObjectName? after = null;
        if (request.Continue.Length > 0)
        {
            (var of, after) = ReadToken(request.Continue);
            if (of != Latest)
            {
                objects = At(of, after.Value);
                revision = of;
            }
        }
        else if (request.Revision is > 0 and var asked)
        {
            if (request.ExactRevision) (objects, revision) = (log.SnapshotAt(kind, asked), asked);
            else if (asked > revision) throw Status.Timeout($"Too large resource version: {asked}, current: {revision}");
        }

        var items = new List<Stored>(request.Limit > 0 ? Math.Min(request.Limit, objects.Count) : SelectsAll(request) ? objects.Count : 16);
        var rest = 0L;
        var last = default(ObjectName);
        foreach (var (name, item) in From(objects, after, request))
        {
            if (!selection.Selects(item)) continue;
            if (request.Limit > 0 && items.Count == request.Limit)
            {
                rest++;
                if (!SelectsAll(request)) break;
                continue;
            }
            items.Add(item.Stored);
            last = name;
        }
        var more = rest > 0;
        return new(items, revision, more ? Token(revision, last) : "", more && SelectsAll(request) ? rest : null);

        ImmutableSortedDictionary<ObjectName, Selectable> At(long revision, ObjectName after)
        {
            try
            {
                return log.SnapshotAt(kind, revision);
            }
            catch (ApiException e) when (e.IsExpired)
            {
                throw Status.ExpiredContinue(Token(Latest, after));
            }
        }

        static bool SelectsAll(ListRequest request) => request.Labels.IsEverything && request.Fields.IsEverything;
    }

    private static IEnumerable<KeyValuePair<ObjectName, Selectable>> From(ImmutableSortedDictionary<ObjectName, Selectable> objects, ObjectName? after, ListRequest request)
    {
        foreach (var entry in objects)
        {
            if (after is { } name && ObjectName.Order.Compare(entry.Key, name) <= 0) continue;
            if (request.Namespace is { } ns && request.Kind.Namespaced)
            {
                var order = string.CompareOrdinal(entry.Key.Namespace, ns);
                if (order < 0) continue;
                if (order > 0) yield break;
            }
            yield return entry;
        }
    }

    /// <summary>In a token: not a certain revision.</summary>
    private const long Latest = -1;

    private static string Token(long revision, ObjectName last) =>
        Base64Url.EncodeToString(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"1:{revision}:{last.Namespace}/{last.Name}")));

    private static (long Revision, ObjectName After) ReadToken(string token)
    {
        try
        {
            var parts = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(token)).Split(':', 3);
            if (parts.Length == 3 && parts[0] == "1" && long.TryParse(parts[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var revision) && revision >= Latest && parts[2].Split('/', 2) is [var ns, var name])
            {
                return (revision, new(ns, name));
            }
        }
        catch (FormatException)
        {
            throw Invalid();
        }
        throw Invalid();

        static ApiException Invalid() => Status.BadRequest("continue key is not valid: use the value of metadata.continue of the previous page unchanged");
    }
}
