using System.Buffers;
using System.Text.Json;
using Declarative.Mesos.Mini.Master;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The read endpoints of the time before the v1 API, which Mesos-DNS, user interfaces and scripts still poll.</summary>
internal static class ReadEndpoints
{
    private static readonly Dictionary<string, Action<Utf8JsonWriter, Cluster, IQueryCollection>> Documents = new(StringComparer.Ordinal)
    {
        ["/state"] = (json, cluster, _) => StateDocuments.State(json, cluster),
        ["/state-summary"] = (json, cluster, _) => StateDocuments.Summary(json, cluster),
        ["/slaves"] = (json, cluster, _) => StateDocuments.Agents(json, cluster),
        ["/frameworks"] = (json, cluster, _) => StateDocuments.Frameworks(json, cluster),
        ["/tasks"] = StateDocuments.Tasks,
        ["/roles"] = (json, cluster, _) => StateDocuments.Roles(json, cluster),
        ["/flags"] = (json, cluster, _) => StateDocuments.Flags(json, cluster),
        ["/version"] = (json, _, _) => StateDocuments.Version(json),
        ["/metrics/snapshot"] = (json, cluster, _) => StateDocuments.Metrics(json, cluster),
    };

    /// <summary>False when there is no such path.</summary>
    public static async Task<bool> Handle(HttpContext context, MiniMaster master, string path)
    {
        switch (path)
        {
            case "/health":
                await Answer.Empty(context, 200);
                return true;
            case "/redirect":
                // Without a scheme, as a real master does; also when it is the leader itself.
                context.Response.Headers.Location = $"//{master.Options.Hostname}:{master.Options.Port}";
                await Answer.Empty(context, 307);
                return true;
            default:
                break;
        }

        if (!Documents.TryGetValue(path, out var write))
            return false;
        var buffer = new ArrayBufferWriter<byte>(4096);
        await using (var json = new Utf8JsonWriter(buffer, StateDocuments.Options))
        {
            var query = context.Request.Query;
            master.View(cluster =>
            {
                write(json, cluster, query);
                return 0;
            });
        }

        await Answer.Body(context, buffer.WrittenMemory, MediaTypes.Json);
        return true;
    }
}
