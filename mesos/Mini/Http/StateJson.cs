using System.Globalization;
using System.Text.Json;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The objects that /state and its parts are made of.</summary>
internal static class StateJson
{
    private static readonly string[] Scalars = ["disk", "mem", "gpus", "cpus"];

    public static double Seconds(DateTimeOffset moment) => (moment - DateTimeOffset.UnixEpoch).Ticks / 1e7;

    /// <summary>TASK_RUNNING for TaskState.TaskRunning: the name in the API.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum
    {
        var name = value.ToString();
        var field = typeof(T).GetField(name);
        var original = (Google.Protobuf.Reflection.OriginalNameAttribute?)
            System.Attribute.GetCustomAttribute(field!, typeof(Google.Protobuf.Reflection.OriginalNameAttribute));
        return original?.Name ?? name;
    }

    extension(Utf8JsonWriter json)
    {
        /// <summary>With a decimal point, as Mesos prints them.</summary>
        public void WriteDouble(string name, double value)
        {
            var text = value.ToString(CultureInfo.InvariantCulture);
            json.WritePropertyName(name);
            json.WriteRawValue(text.AsSpan().ContainsAny('.', 'E') ? text : text + ".0");
        }

        public void WriteStrings(string name, IEnumerable<string> values)
        {
            json.WriteStartArray(name);
            foreach (var value in values)
                json.WriteStringValue(value);
            json.WriteEndArray();
        }

        public void WriteMessages(string name, IEnumerable<IMessage> messages)
        {
            json.WriteStartArray(name);
            foreach (var message in messages)
                json.WriteRawValue(MesosJson.Write(message));
            json.WriteEndArray();
        }

        public void WriteResources(string name, ResourceBag bag)
        {
            json.WriteStartObject(name);
            foreach (var scalar in Scalars)
                json.WriteDouble(scalar, Milli.ToDouble(bag.Scalar(scalar)));
            var ports = bag.Ranges("ports");
            if (!ports.IsEmpty)
                json.WriteString("ports", ports.ToString());
            json.WriteEndObject();
        }

        /// <summary>Only what there is, ranges by their number.</summary>
        public void WriteQuantities(string name, ResourceBag bag)
        {
            json.WriteStartObject(name);
            foreach (var (scalar, milli) in bag.Scalars.GroupBy(one => one.Name).Select(one => (one.Key, one.Sum(part => part.Milli))))
                json.WriteDouble(scalar, Milli.ToDouble(milli));
            var ports = bag.Ranges("ports");
            if (!ports.IsEmpty)
                json.WriteDouble("ports", ports.Count);
            json.WriteEndObject();
        }

        public void WriteAgent(Agent agent)
        {
            var view = OperatorViews.Of(agent);
            json.WriteString("id", agent.Id);
            json.WriteString("hostname", agent.Record.Hostname);
            json.WriteNumber("port", agent.Record.Port);
            json.WriteStartObject("attributes");
            foreach (var attribute in agent.Record.Attributes)
                json.WriteAttribute(attribute);
            json.WriteEndObject();
            json.WriteString("pid", view.Pid);
            json.WriteDouble("registered_time", Seconds(agent.Registered));
            if (agent.Reregistered is { } again)
                json.WriteDouble("reregistered_time", Seconds(again));
            json.WriteResources("resources", agent.Slot.Total);
            json.WriteResources("used_resources", ResourceBag.Of(view.AllocatedResources));
            json.WriteResources("offered_resources", ResourceBag.Of(view.OfferedResources));
            json.WriteReserved(agent.Slot.Total);
            json.WriteBoolean("active", view.Active);
            json.WriteBoolean("deactivated", view.Deactivated);
            json.WriteString("version", agent.Version);
            json.WriteStrings("capabilities", view.Capabilities.Select(capability => Name(capability.Type)));
        }

        public void WriteFrameworkHead(Framework framework)
        {
            var record = framework.Record;
            json.WriteString("id", framework.Id);
            json.WriteString("name", record.Name);
            json.WriteResources("used_resources", Used(framework));
            json.WriteResources("offered_resources", Offered(framework));
            json.WriteStrings("capabilities", record.Capabilities.Select(capability => Name(capability.Type)));
            json.WriteString("hostname", record.Hostname);
            json.WriteString("webui_url", record.WebuiUrl);
            json.WriteBoolean("active", framework.IsConnected);
            json.WriteBoolean("connected", framework.IsConnected);
            json.WriteBoolean("recovered", framework.Recovered);
        }

        public void WriteFramework(Framework framework)
        {
            var record = framework.Record;
            var all = Used(framework);
            all.Add(Offered(framework));
            json.WriteStartObject();
            json.WriteFrameworkHead(framework);
            json.WriteString("user", record.User);
            json.WriteDouble("failover_timeout", record.FailoverTimeout);
            json.WriteBoolean("checkpoint", record.Checkpoint);
            json.WriteDouble("registered_time", Seconds(framework.Registered));
            json.WriteDouble("unregistered_time", framework.Unregistered is { } gone ? Seconds(gone) : 0);
            if (record.HasPrincipal)
                json.WriteString("principal", record.Principal);
            json.WriteResources("resources", all);
            if (record.Roles.Count > 0)
                json.WriteStrings("roles", record.Roles);
            else
                json.WriteString("role", framework.Roles[0]);
            json.WriteTasks("tasks", framework.Tasks.Values.Select(task => task.Record));
            json.WriteTasks("unreachable_tasks", framework.Unreachable.Values.Select(task => task.Record));
            json.WriteTasks("completed_tasks", framework.Completed);
            json.WriteStartArray("offers");
            foreach (var offer in framework.Offers.Values)
                json.WriteOffer(offer);
            json.WriteEndArray();
            json.WriteStartArray("executors");
            foreach (var executor in framework.Executors.Values)
                json.WriteExecutor(executor);
            json.WriteEndArray();
            json.WriteStartObject("offer_constraints");
            json.WriteEndObject();
            json.WriteEndObject();
        }

        public void WriteTask(MesosTask task)
        {
            json.WriteStartObject();
            json.WriteString("id", task.TaskId.Value);
            json.WriteString("name", task.Name);
            json.WriteString("framework_id", task.FrameworkId.Value);
            json.WriteString("executor_id", task.ExecutorId?.Value ?? "");
            json.WriteString("slave_id", task.AgentId.Value);
            json.WriteString("state", Name(task.State));
            json.WriteResources("resources", ResourceBag.Of(task.Resources));
            if (task.Resources.FirstOrDefault()?.AllocationInfo?.Role is { } role)
                json.WriteString("role", role);
            json.WriteStartArray("statuses");
            foreach (var status in task.Statuses)
                json.WriteStatus(status);
            json.WriteEndArray();
            if (task.Labels is { } labels)
                json.WriteMessages("labels", labels.Labels_);
            if (task.Discovery is { } discovery)
                json.WriteMessage("discovery", discovery);
            if (task.Container is { } container)
                json.WriteMessage("container", container);
            if (task.HealthCheck is { } check)
                json.WriteMessage("health_check", check);
            json.WriteEndObject();
        }

        private void WriteTasks(string name, IEnumerable<MesosTask> tasks)
        {
            json.WriteStartArray(name);
            foreach (var task in tasks)
                json.WriteTask(task);
            json.WriteEndArray();
        }

        private void WriteStatus(TaskStatus status)
        {
            json.WriteStartObject();
            json.WriteString("state", Name(status.State));
            json.WriteDouble("timestamp", status.Timestamp);
            if (status.ContainerStatus is { } container)
            {
                if (container.HasExecutorPid)
                {
                    container = container.Clone();
                    container.ClearExecutorPid();
                }

                json.WriteMessage("container_status", container);
            }

            if (status.Labels is { } labels)
                json.WriteMessages("labels", labels.Labels_);
            if (status.HasHealthy)
                json.WriteBoolean("healthy", status.Healthy);
            json.WriteEndObject();
        }

        private void WriteOffer(Master.Offer offer)
        {
            json.WriteStartObject();
            json.WriteString("id", offer.Id);
            json.WriteString("framework_id", offer.Framework.Id);
            json.WriteStartObject("allocation_info");
            json.WriteString("role", offer.Role);
            json.WriteEndObject();
            json.WriteString("slave_id", offer.Agent.Id);
            json.WriteResources("resources", offer.Resources);
            json.WriteEndObject();
        }

        private void WriteExecutor(Executor executor)
        {
            json.WriteStartObject();
            json.WriteString("executor_id", executor.Id);
            json.WriteString("name", executor.Record.Name);
            json.WriteString("framework_id", executor.Framework.Id);
            json.WriteString("slave_id", executor.Agent.Id);
            json.WriteResources("resources", executor.Resources);
            json.WriteString("role", executor.Role);
            json.WriteEndObject();
        }

        private void WriteMessage(string name, IMessage message)
        {
            json.WritePropertyName(name);
            json.WriteRawValue(MesosJson.Write(message));
        }

        public void WriteAttribute(Declarative.Mesos.Protocol.Attribute attribute)
        {
            switch (attribute.Type)
            {
                case Value.Types.Type.Scalar:
                    json.WriteDouble(attribute.Name, attribute.Scalar.Value);
                    break;
                case Value.Types.Type.Ranges:
                    json.WriteString(attribute.Name, RangeSet.Of(attribute.Ranges).ToString());
                    break;
                default:
                    json.WriteString(attribute.Name, attribute.Text?.Value ?? "");
                    break;
            }
        }
    }

    private static ResourceBag Used(Framework framework)
    {
        var sum = new ResourceBag();
        foreach (var (_, resources) in OperatorViews.Used(framework))
            sum.Add(resources);
        return sum;
    }

    private static ResourceBag Offered(Framework framework)
    {
        var sum = new ResourceBag();
        foreach (var offer in framework.Offers.Values)
            sum.Add(offer.Resources);
        return sum;
    }
}
