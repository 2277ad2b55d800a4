using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>LIST with pages that all belong to one revision. The cost of a page does not grow with the objects before and after it.</summary>
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
            else if (asked > revision) throw Status.RevisionTooLarge(asked, revision);
        }

        var (from, to) = selection.PlacesIn(objects);
        if (after is { } name) from = Math.Max(from, objects.Through(name));
        var limit = request.Limit > 0 ? request.Limit : int.MaxValue;
        var isEverything = request.Labels.IsEverything && request.Fields.IsEverything;
        var items = new List<Stored>(isEverything ? Math.Clamp(to - from, 0, limit) : 16);
        var more = false;
        foreach (var item in objects.Range(from, to))
        {
            // By their places alone.
            if (!isEverything && !selection.Selects(item)) continue;
            more = items.Count == limit;
            if (more) break;
            items.Add(item.Stored);
        }
        if (!more) return new(items, revision, "", null);
        log.KeepSnapshot(kind, revision, objects);
        return new(items, revision, Token(revision, new(items[^1].Key.Namespace, items[^1].Key.Name)), isEverything ? to - from - limit : null);

        ObjectSet At(long revision, ObjectName after)
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
