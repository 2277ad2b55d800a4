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
    /// <summary>Items of a page that is made as quickly as one object is.</summary>
    private const int ShortItemsMax = 100;

    /// <summary>A page of few items that nothing has to be searched for.</summary>
    public static bool IsShort(Exchange exchange) =>
        exchange.Verb == "list" && int.TryParse(exchange.Query.Text("limit"), System.Globalization.NumberStyles.None, null, out var limit) && limit is > 0 and <= ShortItemsMax
        && exchange.Query.Text("labelSelector").Length == 0 && exchange.Query.Text("fieldSelector").Length == 0 && exchange.Query.Text("continue").Length == 0 && exchange.Query.Text("resourceVersionMatch").Length == 0;

    public static async Task Get(Exchange exchange)
    {
        var accept = exchange.Accept;
        var stored = await exchange.Api.Get(exchange.Key, exchange.Path.Subresource, exchange.Aborted);
        // A table or YAML is made of it, or it is compressed.
        if (stored.Json.Length > Limits.SmallBytesMax) await Task.Yield();
        await Forms.Object(exchange, 200, stored, accept);
    }

    public static async Task List(Exchange exchange)
    {
        var accept = exchange.Accept;
        var list = await exchange.Api.List(Request(exchange), exchange.Aborted);
        if (list.Items.Count <= ShortItemsMax && Bytes(list) > Limits.SmallBytesMax) await Task.Yield();
        // kubectl get all asks for every kind of the category: of those that nobody has made there is nothing to say.
        if (list.Items.Count > 0 && exchange.Path.Kind.WithoutEffect is { } warning) Answers.Warn(exchange.Context, [warning]);
        await Forms.List(exchange, list, accept);
    }

    private static long Bytes(StoredList list)
    {
        var bytes = 0L;
        foreach (var item in list.Items) bytes += item.Json.Length;
        return bytes;
    }

    public static ListRequest Request(Exchange exchange)
    {
        var query = exchange.Query;
        // Below 0 is no limit, as 0 is.
        var limit = Math.Max(0, query.Number("limit", long.MinValue) ?? 0);
        query.Number("timeoutSeconds", long.MinValue);
        OptionChecks.List(query);
        var revision = Revision(query);
        return new(exchange.Path.Kind, exchange.Path.Namespace)
        {
            Labels = LabelSelector.Parse(query.Text("labelSelector")),
            Fields = FieldSelector.Parse(query.Text("fieldSelector")),
            Limit = (int)Math.Min(limit, Limits.ListPageItemsMax),
            Continue = query.Text("continue"),
            Revision = revision,
            ExactRevision = query.Text("resourceVersionMatch") == "Exact",
        };
    }

    /// <summary>null where the parameter is absent or empty.</summary>
    public static long? Revision(RequestQuery query)
    {
        var text = query.Text("resourceVersion");
        if (text.Length == 0) return null;
        return long.TryParse(text, System.Globalization.NumberStyles.None, null, out var revision)
            ? revision
            : throw Status.BadRequest($"invalid resource version \"{text}\": expected the resourceVersion of an object or list of this server");
    }
}
