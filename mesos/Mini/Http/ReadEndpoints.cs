using System.Buffers;
using System.Text.Json;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
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
        ["/quota"] = (json, cluster, _) => json.WriteRawValue(MesosJson.Write(OperatorViews.Quota(cluster).Status)),
        ["/weights"] = (json, cluster, _) => StateDocuments.Weights(json, cluster),
        ["/system/stats.json"] = (json, _, _) => SystemStatistics.Write(json),
    };

    private static readonly HashSet<string> PostOnly = new(StringComparer.Ordinal) { "/machine/down", "/machine/up", "/teardown", "/reserve", "/unreserve", "/create-volumes", "/destroy-volumes" };

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
            case "/maintenance/schedule" when HttpMethods.IsGet(context.Request.Method):
                await Answer.Message(context, master.ViewOperator(desk => desk.Maintenance.Schedule), MediaType.Json);
                return true;
            case "/maintenance/status" when HttpMethods.IsGet(context.Request.Method):
                await Answer.Message(context, master.ViewOperator(desk => desk.Maintenance.Status()), MediaType.Json);
                return true;
            case "/logging/toggle" when context.Request.QueryString.Value is "" or null:
                await Answer.Text(context, 200, $"{master.ViewOperator(desk => desk.LoggingLevel)}\n");
                return true;
            case "/registrar(1)/registry":
                await Registry(context, master);
                return true;
            case "/teardown" when HttpMethods.IsPost(context.Request.Method):
                await Teardown(context, master);
                return true;
            case var _ when PostOnly.Contains(path) && !HttpMethods.IsPost(context.Request.Method):
                context.Response.Headers.Allow = "POST";
                await Answer.Text(context, 405, $"405 Method Not Allowed. Expecting one of {{ 'POST' }}, but received '{context.Request.Method}'.");
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

        await Answer.Document(context, buffer.WrittenMemory);
        return true;
    }

    private static async Task Registry(HttpContext context, MiniMaster master)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        await using (var json = new Utf8JsonWriter(buffer, StateDocuments.Options))
            RegistryDocument.Write(json, master.Registry(), master.View(OperatorViews.MasterInfo));
        await Answer.Document(context, buffer.WrittenMemory);
    }

    private static async Task Teardown(HttpContext context, MiniMaster master)
    {
        var form = context.Request.HasFormContentType ? await context.Request.ReadFormAsync(context.RequestAborted) : FormCollection.Empty;
        if (form["frameworkId"].ToString() is not { Length: > 0 } id)
        {
            await Answer.Text(context, 400, "Missing 'frameworkId' query parameter");
            return;
        }

        var outcome = master.Operate(desk => desk.Teardown(new() { Value = id }));
        if (outcome.IsTaken)
            await Answer.Empty(context, 200);
        else
            await Answer.Text(context, outcome.Status, outcome.Text);
    }
}
