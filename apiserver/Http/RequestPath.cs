using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Http;

/// <summary>
/// The words of a resource URL (Kubernetes doc "API Concepts", resource URIs):
/// <c>/api/v1/[namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE[/REST]]]</c> and <c>/apis/GROUP/VERSION/…</c>; <c>watch/</c> before the resource is the old way to
/// ask for a watch.
/// </summary>
/// <param name="Namespace">null where the URL names none.</param>
/// <param name="Rest">What follows the subresource, without its slash (proxy paths).</param>
internal readonly record struct RequestPath(Kind Kind, string? Namespace, string Name, string Subresource, string Rest, bool IsWatch = false)
{
    private const int SegmentsMax = 8;

    /// <summary>False where the path names no resource of this server.</summary>
    public static bool TryParse(ReadOnlySpan<char> path, out RequestPath result) => TryParse(path, KindPaths.BuiltIn, out result);

    public static bool TryParse(ReadOnlySpan<char> path, KindPaths paths, out RequestPath result)
    {
        result = default;
        ReadOnlySpan<char> groupVersion;
        if (path.StartsWith("/api/"))
        {
            path = path[5..];
            groupVersion = Take(ref path);
        }
        else if (path.StartsWith("/apis/"))
        {
            path = path[6..];
            var slash = path.IndexOf('/');
            if (slash < 0) return false;
            var end = path[(slash + 1)..].IndexOf('/');
            if (end < 0) return false;
            groupVersion = path[..(slash + 1 + end)];
            path = path[(slash + end + 2)..];
        }
        else
        {
            return false;
        }
        if (!paths.TryFind(groupVersion, out var byPlural)) return false;

        var isWatch = path.StartsWith("watch/");
        if (isWatch) path = path[6..];
        if (path is ['/', ..]) return false;
        if (path.EndsWith("/")) path = path[..^1];
        Span<Range> ranges = stackalloc Range[SegmentsMax];
        var count = path.Split(ranges, '/');
        var at = 0;
        string? ns = null;
        // namespaces/NAME and namespaces/NAME/status are about the Namespace itself; anything else below it is a resource inside.
        if (count >= 3 && path[ranges[0]] is "namespaces" && path[ranges[2]] is not ("status" or "finalize"))
        {
            ns = Text(path[ranges[1]]);
            if (ns.Length == 0) return false;
            at = 2;
        }
        if (at >= count || !byPlural.TryGetValue(path[ranges[at]], out var kind)) return false;
        if (ns is not null && !kind.Namespaced) return false;
        var name = at + 1 < count ? Text(path[ranges[at + 1]]) : "";
        if (at + 1 < count && name.Length == 0) return false;
        var subresource = at + 2 < count ? Text(path[ranges[at + 2]]) : "";
        if (isWatch && subresource.Length > 0) return false;
        var rest = at + 3 < count ? path[ranges[at + 3].Start..].ToString() : "";
        result = new(kind, ns, name, subresource, rest, isWatch);
        return true;
    }

    private static ReadOnlySpan<char> Take(scoped ref ReadOnlySpan<char> path)
    {
        var slash = path.IndexOf('/');
        if (slash < 0)
        {
            var all = path;
            path = [];
            return all;
        }
        var word = path[..slash];
        path = path[(slash + 1)..];
        return word;
    }

    private static string Text(ReadOnlySpan<char> segment) => segment.Contains('%') ? Uri.UnescapeDataString(segment) : segment.ToString();
}
