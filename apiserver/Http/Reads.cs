using System.Buffers.Text;
using System.IO.Compression;
using System.IO.Pipelines;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>GET of one object and LIST: the stored bytes go to the wire as they are.</summary>
internal static class Reads
{
    public static async Task Get(Exchange exchange)
    {
        var accept = exchange.Accept;
        var stored = await exchange.Api.Get(exchange.Key, exchange.Path.Subresource, exchange.Aborted);
        await Forms.Object(exchange, 200, stored, accept);
    }

    public static async Task List(Exchange exchange)
    {
        var accept = exchange.Accept;
        var list = await exchange.Api.List(Request(exchange), exchange.Aborted);
        await Forms.List(exchange, list, accept);
    }

    public static ListRequest Request(Exchange exchange)
    {
        var query = exchange.Query;
        var limit = query.Number("limit") ?? 0;
        var match = query.Text("resourceVersionMatch");
        var revision = Revision(query);
        if (match.Length > 0)
        {
            if (match is not ("Exact" or "NotOlderThan")) throw Forbidden("resourceVersionMatch", $"supported values: \"Exact\", \"NotOlderThan\", found \"{match}\"");
            if (revision is null) throw Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided");
            if (match == "Exact" && revision == 0) throw Forbidden("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        return new(exchange.Path.Kind, exchange.Path.Namespace)
        {
            Labels = LabelSelector.Parse(query.Text("labelSelector")),
            Fields = FieldSelector.Parse(query.Text("fieldSelector")),
            Limit = (int)Math.Min(limit, int.MaxValue),
            Continue = query.Text("continue"),
            Revision = revision,
            ExactRevision = match == "Exact",
        };
    }

    /// <summary>null where the parameter is absent or empty.</summary>
    public static long? Revision(RequestQuery query)
    {
        var text = query.Text("resourceVersion");
        if (text.Length == 0) return null;
        return long.TryParse(text, System.Globalization.NumberStyles.None, null, out var revision)
            ? revision
            : throw Status.BadRequest($"resourceVersion: Invalid value: \"{text}\": expected the resourceVersion of an object or list of this server");
    }

    private static ApiException Forbidden(string field, string message) =>
        new(new(422, StatusReason.Invalid, $"ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {message}") { Group = "meta.k8s.io", Kind = "ListOptions", Causes = [new("FieldValueForbidden", $"Forbidden: {message}", field)] });
}
