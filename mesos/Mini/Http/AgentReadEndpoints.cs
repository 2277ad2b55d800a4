using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Declarative.Mesos.Mini.Agents;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>An agent's read endpoints of the time before the v1 API.</summary>
internal static class AgentReadEndpoints
{
    /// <summary>False when there is no such path.</summary>
    public static async Task<bool> Handle(HttpContext context, ProcessAgent agent, string path)
    {
        switch (path)
        {
            case "/health":
                await Answer.Empty(context, 200);
                return true;
            case "/system/stats.json":
                await Whole(context, SystemStatistics.Write);
                return true;
            case "/state":
                await Json(context, json => State(json, agent));
                return true;
            case "/version":
                await Json(context, json => json.WriteString("version", agent.Options.Version));
                return true;
            case "/flags":
                await Json(context, json => Flags(json, agent));
                return true;
            case "/metrics/snapshot":
                await Json(
                    context,
                    json =>
                    {
                        foreach (var (name, value) in AgentViews.Metrics(agent))
                            json.WriteDouble(name, value);
                    }
                );
                return true;
            case "/monitor/statistics":
                await Json(context, json => Containers(json, agent, nested: false, withStatus: false), array: true);
                return true;
            case "/containers":
                var nested = context.Request.Query["show_nested"] == "true";
                await Json(context, json => Containers(json, agent, nested, withStatus: true), array: true);
                return true;
            case "/files/browse" or "/files/read" or "/files/download":
                await Files(context, new AgentFiles(agent), path);
                return true;
            case "/files/debug":
                await Json(
                    context,
                    json =>
                    {
                        foreach (var (shown, real) in new AgentFiles(agent).Attached())
                            json.WriteString(shown, real);
                    }
                );
                return true;
            default:
                return false;
        }
    }

    private static async Task Files(HttpContext context, AgentFiles files, string path)
    {
        if (context.Request.Query["path"].ToString() is not { Length: > 0 } wanted)
        {
            await Answer.Text(context, 400, "Expecting 'path=value' in query.\n");
            return;
        }

        if (path == "/files/browse" && files.List(wanted) is { } list)
        {
            await Json(context, json => Listing(json, list), array: true);
            return;
        }

        if (path == "/files/read" && files.List(wanted) is not null)
        {
            await Answer.Text(context, 400, "Cannot read a directory.\n");
            return;
        }

        if (path == "/files/browse" || files.Find(wanted) is not { } real)
        {
            await Answer.NoFile(context);
            return;
        }

        if (path == "/files/download")
        {
            context.Response.ContentType = "application/octet-stream";
            context.Response.Headers.ContentDisposition = $"attachment; filename={System.IO.Path.GetFileName(real)}";
            await context.Response.SendFileAsync(real, context.RequestAborted);
            return;
        }

        var offset = Number(context, "offset") ?? -1;
        // Without an offset: how long the file is.
        var (size, data) = await AgentFiles.Read(real, Math.Max(0, offset), offset < 0 ? 0 : Number(context, "length"), context.RequestAborted);
        await Json(
            context,
            json =>
            {
                json.WriteString("data", Encoding.UTF8.GetString(data));
                json.WriteNumber("offset", offset < 0 ? size : offset);
            }
        );
    }

    private static void State(Utf8JsonWriter json, ProcessAgent agent)
    {
        var options = agent.Options;
        var total = agent.Total();
        var used = AgentViews.Used(agent);
        json.WriteString("version", options.Version);
        json.WriteDouble("start_time", StateJson.Seconds(agent.Started));
        json.WriteString("id", agent.Id?.Value ?? "");
        json.WriteString("pid", $"slave(1)@{options.Ip}:{options.Port}");
        json.WriteString("hostname", options.Hostname);
        json.WriteStrings("capabilities", ["MULTI_ROLE", "HIERARCHICAL_ROLE", "RESERVATION_REFINEMENT", "TASK_RESOURCE_LIMITS"]);
        json.WriteResources("resources", total);
        json.WriteReserved(total);
        json.WriteReservedInFull(total);
        json.WriteStartObject("reserved_resources_allocated");
        foreach (var (role, resources) in used.Reserved())
            json.WriteResources(role, resources);
        json.WriteEndObject();
        json.WriteResources("unreserved_resources_allocated", used.Unreserved());
        json.WriteStartArray("resource_providers");
        json.WriteEndArray();
        json.WriteStartObject("attributes");
        foreach (var attribute in agent.Describe().Attributes)
            json.WriteAttribute(attribute);
        json.WriteEndObject();
        if (agent.MasterHostname is { } master)
            json.WriteString("master_hostname", master);
        Flags(json, agent);
        var frameworks = agent.Runs.GroupBy(run => run.FrameworkId.Value).ToList();
        json.WriteStartArray("frameworks");
        foreach (var runs in frameworks.Where(runs => runs.Any(run => !run.IsSettled)))
            Framework(json, runs);
        json.WriteEndArray();
        json.WriteStartArray("completed_frameworks");
        foreach (var runs in frameworks.Where(runs => runs.All(run => run.IsSettled)))
            Framework(json, runs);
        json.WriteEndArray();
    }

    private static void Framework(Utf8JsonWriter json, IEnumerable<ExecutorRun> runs)
    {
        var all = runs.ToList();
        var record = all[^1].Framework;
        json.WriteStartObject();
        json.WriteString("id", record.Id.Value);
        json.WriteString("name", record.Name);
        json.WriteString("user", record.User);
        json.WriteDouble("failover_timeout", record.FailoverTimeout);
        json.WriteBoolean("checkpoint", record.Checkpoint);
        json.WriteString("hostname", record.Hostname);
        json.WriteStrings("roles", record.Roles);
        Executors(json, "executors", all.Where(run => run.EndedAt is null));
        Executors(json, "completed_executors", all.Where(run => run.EndedAt is not null));
        json.WriteEndObject();
    }

    private static void Executors(Utf8JsonWriter json, string name, IEnumerable<ExecutorRun> runs)
    {
        json.WriteStartArray(name);
        foreach (var run in runs)
        {
            json.WriteStartObject();
            json.WriteString("id", run.ExecutorId.Value);
            json.WriteString("name", run.Name);
            json.WriteString("source", run.ExecutorId.Value);
            json.WriteString("container", run.Container.Value);
            json.WriteString("directory", run.Sandbox);
            json.WriteResources("resources", AgentViews.Used(run));
            if (AgentViews.RoleOf(run) is { } role)
                json.WriteString("role", role);
            if (run.Kind == ExecutorKind.Command && run.Tasks is [{ Info.Labels: { } labels }, ..])
                json.WriteMessages("labels", labels.Labels_);
            else if (run.Executor?.Labels is { } own)
                json.WriteMessages("labels", own.Labels_);
            var queued = run.Own?.Queued ?? [];
            Tasks(json, "tasks", run.Tasks.Where(task => !task.IsTerminal && !queued.Contains(task)));
            Tasks(json, "queued_tasks", queued);
            Tasks(json, "completed_tasks", run.Tasks.Where(task => task.IsTerminal));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void Tasks(Utf8JsonWriter json, string name, IEnumerable<AgentTask> tasks)
    {
        json.WriteStartArray(name);
        foreach (var task in tasks)
            json.WriteTask(task.Record);
        json.WriteEndArray();
    }

    private static void Flags(Utf8JsonWriter json, ProcessAgent agent)
    {
        json.WriteStartObject("flags");
        foreach (var (name, value) in AgentViews.Flags(agent))
            json.WriteString(name, value);
        json.WriteEndObject();
    }

    private static void Containers(Utf8JsonWriter json, ProcessAgent agent, bool nested, bool withStatus)
    {
        foreach (var container in AgentViews.Containers(agent, nested))
        {
            json.WriteStartObject();
            if (withStatus)
                json.WriteString("container_id", container.ContainerId.Value);
            if (container.ExecutorId is not null)
            {
                json.WriteString("executor_id", container.ExecutorId.Value);
                json.WriteString("executor_name", container.ExecutorName);
                json.WriteString("framework_id", container.FrameworkId.Value);
                json.WriteString("source", container.ExecutorId.Value);
            }

            json.WritePropertyName("statistics");
            json.WriteRawValue(MesosJson.Write(container.ResourceStatistics));
            if (withStatus)
            {
                json.WritePropertyName("status");
                json.WriteRawValue(MesosJson.Write(container.ContainerStatus));
            }

            json.WriteEndObject();
        }
    }

    private static void Listing(Utf8JsonWriter json, List<(string Path, Runners.FileStatus Status)> list)
    {
        foreach (var (path, status) in list)
        {
            json.WriteStartObject();
            json.WriteString("gid", status.GroupName);
            json.WriteString("mode", status.ModeText);
            json.WriteDouble("mtime", StateJson.Seconds(status.Modified));
            json.WriteNumber("nlink", status.Links);
            json.WriteString("path", path);
            json.WriteNumber("size", status.Bytes);
            json.WriteString("uid", status.UserName);
            json.WriteEndObject();
        }
    }

    private static Task Json(HttpContext context, Action<Utf8JsonWriter> write, bool array = false) =>
        Whole(
            context,
            json =>
            {
                if (array)
                    json.WriteStartArray();
                else
                    json.WriteStartObject();
                write(json);
                if (array)
                    json.WriteEndArray();
                else
                    json.WriteEndObject();
            }
        );

    private static async Task Whole(HttpContext context, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        await using (var json = new Utf8JsonWriter(buffer, StateDocuments.Options))
            write(json);
        await Answer.Document(context, buffer.WrittenMemory);
    }

    private static long? Number(HttpContext context, string name) =>
        long.TryParse(context.Request.Query[name].ToString(), CultureInfo.InvariantCulture, out var number) ? number : null;
}
