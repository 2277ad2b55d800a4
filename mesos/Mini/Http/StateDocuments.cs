using System.Text.Encodings.Web;
using System.Text.Json;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>/state and its parts: the names, casing and nesting that a real master uses.</summary>
internal static class StateDocuments
{
    public static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly TaskState[] Counted =
    [
        TaskState.TaskStaging,
        TaskState.TaskStarting,
        TaskState.TaskRunning,
        TaskState.TaskKilling,
        TaskState.TaskFinished,
        TaskState.TaskKilled,
        TaskState.TaskFailed,
        TaskState.TaskLost,
        TaskState.TaskError,
        TaskState.TaskUnreachable,
    ];

    public static void State(Utf8JsonWriter json, Cluster cluster)
    {
        var options = cluster.Options;
        var pid = $"master@{options.Ip}:{options.Port}";
        json.WriteStartObject();
        json.WriteString("version", Mini.Version.Text);
        json.WriteDouble("start_time", StateJson.Seconds(cluster.Started));
        json.WriteDouble("elected_time", StateJson.Seconds(cluster.Started));
        json.WriteString("id", cluster.MasterId);
        json.WriteString("pid", pid);
        json.WriteString("hostname", options.Hostname);
        json.WriteStrings("capabilities", OperatorViews.MasterInfo(cluster).Capabilities.Select(one => StateJson.Name(one.Type)));
        json.WriteDouble("activated_slaves", cluster.Agents.Values.Count(agent => agent.Slot.Active));
        json.WriteDouble("deactivated_slaves", cluster.Agents.Values.Count(agent => !agent.Slot.Active));
        json.WriteDouble("unreachable_slaves", cluster.UnreachableAgents.Count);
        json.WriteString("leader", pid);
        json.WriteStartObject("leader_info");
        json.WriteString("id", cluster.MasterId);
        json.WriteString("pid", pid);
        json.WriteNumber("port", options.Port);
        json.WriteString("hostname", options.Hostname);
        json.WriteEndObject();
        if (options.Cluster is { } name)
            json.WriteString("cluster", name);
        FlagsMember(json, cluster);
        json.WriteStartArray("slaves");
        foreach (var agent in cluster.Agents.Values)
        {
            json.WriteStartObject();
            json.WriteAgent(agent);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        RecoveredAgents(json, cluster);
        FrameworkMembers(json, cluster);
        json.WriteStartArray("orphan_tasks");
        json.WriteEndArray();
        json.WriteStartArray("unregistered_frameworks");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void Summary(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject();
        json.WriteString("hostname", cluster.Options.Hostname);
        if (cluster.Options.Cluster is { } name)
            json.WriteString("cluster", name);
        json.WriteStartArray("slaves");
        var byAgent = cluster.Frameworks.Values.SelectMany(framework => AllTasks(framework)).ToLookup(task => task.AgentId.Value);
        foreach (var agent in cluster.Agents.Values)
        {
            json.WriteStartObject();
            json.WriteAgent(agent);
            Counts(json, byAgent[agent.Id]);
            json.WriteStrings("framework_ids", byAgent[agent.Id].Select(task => task.FrameworkId.Value).Distinct());
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("frameworks");
        foreach (var framework in cluster.Frameworks.Values)
        {
            var tasks = AllTasks(framework).ToList();
            json.WriteStartObject();
            json.WriteFrameworkHead(framework);
            Counts(json, tasks);
            json.WriteStrings("slave_ids", tasks.Select(task => task.AgentId.Value).Distinct());
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void Weights(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartArray();
        foreach (var weight in OperatorViews.Weights(cluster)?.WeightInfos ?? [])
            json.WriteRawValue(MesosJson.Write(weight));
        json.WriteEndArray();
    }

    public static void Agents(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject();
        json.WriteStartArray("slaves");
        foreach (var agent in cluster.Agents.Values)
        {
            var view = OperatorViews.Of(agent);
            json.WriteStartObject();
            json.WriteAgent(agent);
            json.WriteReservedInFull(agent.Slot.Total);
            json.WriteMessages("used_resources_full", view.AllocatedResources.Select(EndpointResources.AsBefore));
            json.WriteMessages("offered_resources_full", view.OfferedResources.Select(EndpointResources.AsBefore));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        RecoveredAgents(json, cluster);
        json.WriteEndObject();
    }

    public static void Frameworks(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject();
        FrameworkMembers(json, cluster);
        json.WriteStartArray("unregistered_frameworks");
        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Query: limit (100 by default), offset, order (des by default), framework_id, task_id.</summary>
    public static void Tasks(Utf8JsonWriter json, Cluster cluster, IQueryCollection query)
    {
        var tasks = cluster
            .Frameworks.Values.SelectMany(AllTasks)
            .Concat(cluster.CompletedFrameworks.Values.SelectMany(AllTasks))
            .Where(task => !query.TryGetValue("framework_id", out var id) || task.FrameworkId.Value == id)
            .Where(task => !query.TryGetValue("task_id", out var id) || task.TaskId.Value == id);
        tasks = query["order"] == "asc" ? tasks.OrderBy(Began) : tasks.OrderByDescending(Began);
        json.WriteStartObject();
        json.WriteStartArray("tasks");
        foreach (var task in tasks.Skip(Number(query["offset"], 0)).Take(Number(query["limit"], 100)))
            json.WriteTask(task);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void Roles(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject();
        json.WriteStartArray("roles");
        foreach (var role in OperatorViews.Roles(cluster).Roles)
        {
            var frameworks = cluster.Frameworks.Values.Where(framework => framework.Roles.Contains(role.Name)).ToList();
            var used = Sum(frameworks.SelectMany(OperatorViews.Used).Where(part => part.Role == role.Name));
            var offered = Sum(
                frameworks.SelectMany(one => one.Offers.Values).Where(one => one.Role == role.Name).Select(one => (one.Role, one.Resources))
            );
            json.WriteStartObject();
            json.WriteString("name", role.Name);
            json.WriteDouble("weight", role.Weight);
            json.WriteStartObject("quota");
            json.WriteString("role", role.Name);
            json.WriteStartObject("guarantee");
            json.WriteEndObject();
            json.WriteStartObject("limit");
            json.WriteEndObject();
            json.WriteQuantities("consumed", used);
            json.WriteEndObject();
            json.WriteQuantities("resources", Sum([("", used), ("", offered)]));
            json.WriteQuantities("allocated", used);
            json.WriteQuantities("offered", offered);
            json.WriteStartObject("reserved");
            json.WriteEndObject();
            json.WriteStrings("frameworks", role.Frameworks.Select(id => id.Value));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    public static void Flags(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject();
        FlagsMember(json, cluster);
        json.WriteEndObject();
    }

    public static void Version(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("version", Mini.Version.Text);
        json.WriteEndObject();
    }

    public static void Metrics(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject();
        foreach (var (name, value) in MasterMetrics.Of(cluster))
            json.WriteDouble(name, value);
        json.WriteEndObject();
    }

    private static void FlagsMember(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartObject("flags");
        foreach (var (name, value) in MasterFlags.Of(cluster.Options))
            json.WriteString(name, value);
        json.WriteEndObject();
    }

    private static void RecoveredAgents(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartArray("recovered_slaves");
        foreach (var record in cluster.RecoveredAgents.Values)
        {
            json.WriteStartObject();
            json.WriteString("id", record.Id.Value);
            json.WriteString("hostname", record.Hostname);
            json.WriteNumber("port", record.Port);
            json.WriteResources("resources", ResourceBag.Of(record.Resources));
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void FrameworkMembers(Utf8JsonWriter json, Cluster cluster)
    {
        json.WriteStartArray("frameworks");
        foreach (var framework in cluster.Frameworks.Values)
            json.WriteFramework(framework);
        json.WriteEndArray();
        json.WriteStartArray("completed_frameworks");
        foreach (var framework in cluster.CompletedFrameworks.Values)
            json.WriteFramework(framework);
        json.WriteEndArray();
    }

    private static IEnumerable<MesosTask> AllTasks(Framework framework) =>
        framework
            .Tasks.Values.Concat(framework.Unreachable.Values)
            .Select(task => task.Record)
            .Concat(framework.Completed);

    private static void Counts(Utf8JsonWriter json, IEnumerable<MesosTask> tasks)
    {
        var counts = tasks.CountBy(task => task.State).ToDictionary();
        foreach (var state in Counted)
            json.WriteNumber(StateJson.Name(state), counts.GetValueOrDefault(state));
    }

    private static double Began(MesosTask task) => task.Statuses.Count > 0 ? task.Statuses[0].Timestamp : 0;

    private static int Number(string? text, int otherwise) => int.TryParse(text, out var number) && number >= 0 ? number : otherwise;

    private static ResourceBag Sum(IEnumerable<(string Role, ResourceBag Resources)> parts)
    {
        var sum = new ResourceBag();
        foreach (var (_, resources) in parts)
            sum.Add(resources);
        return sum;
    }
}
