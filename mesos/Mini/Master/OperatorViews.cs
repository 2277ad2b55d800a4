using System.Net;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using Declarative.Mesos.Protocol.QuotaApi;
using Declarative.Mesos.Resources;
using Capability = Declarative.Mesos.Protocol.AgentInfo.Types.Capability;
using MasterCapability = Declarative.Mesos.Protocol.MasterInfo.Types.Capability;

namespace Declarative.Mesos.Mini.Master;

/// <summary>The master's state as the operator API shows it. What may still change is copied: the answer is written after the gate.</summary>
internal static class OperatorViews
{
    private static readonly Capability[] AgentCapabilities =
    [
        .. from type in Enum.GetValues<Capability.Types.Type>()
        where type is not Capability.Types.Type.Unknown
        select new Capability { Type = type },
    ];

    public static MasterInfo MasterInfo(Cluster cluster)
    {
        var options = cluster.Options;
        var message = new MasterInfo
        {
            Id = cluster.MasterId,
            Ip = LittleEndian(options.Ip),
            Port = (uint)options.Port,
            Pid = $"master@{options.Ip}:{options.Port}",
            Hostname = options.Hostname,
            Version = Version.Text,
            Address = new()
            {
                Hostname = options.Hostname,
                Ip = options.Ip,
                Port = options.Port,
            },
        };
        foreach (var type in Enum.GetValues<MasterCapability.Types.Type>())
        {
            if (type is not MasterCapability.Types.Type.Unknown)
                message.Capabilities.Add(new MasterCapability { Type = type });
        }

        return message;
    }

    public static Response.Types.GetState State(Cluster cluster) =>
        new()
        {
            GetTasks = Tasks(cluster),
            GetExecutors = Executors(cluster),
            GetFrameworks = Frameworks(cluster),
            GetAgents = Agents(cluster),
        };

    public static Response.Types.GetTasks Tasks(Cluster cluster)
    {
        var message = new Response.Types.GetTasks();
        foreach (var framework in cluster.Frameworks.Values)
        {
            message.Tasks.Add(framework.Tasks.Values.Select(task => Copy(task.Record)));
            message.UnreachableTasks.Add(framework.Unreachable.Values.Select(task => Copy(task.Record)));
            message.CompletedTasks.Add(framework.Completed);
        }

        foreach (var framework in cluster.CompletedFrameworks.Values)
        {
            message.UnreachableTasks.Add(framework.Unreachable.Values.Select(task => Copy(task.Record)));
            message.CompletedTasks.Add(framework.Completed);
        }

        return message;
    }

    public static Response.Types.GetExecutors Executors(Cluster cluster)
    {
        var message = new Response.Types.GetExecutors();
        foreach (var framework in cluster.Frameworks.Values)
        {
            foreach (var executor in framework.Executors.Values)
                message.Executors.Add(new Response.Types.GetExecutors.Types.Executor { ExecutorInfo = executor.Record, AgentId = executor.Agent.Record.Id });
        }

        return message;
    }

    public static Response.Types.GetFrameworks Frameworks(Cluster cluster)
    {
        var message = new Response.Types.GetFrameworks();
        message.Frameworks.Add(cluster.Frameworks.Values.Select(Of));
        message.CompletedFrameworks.Add(cluster.CompletedFrameworks.Values.Select(Of));
        return message;
    }

    public static Response.Types.GetAgents Agents(Cluster cluster)
    {
        var message = new Response.Types.GetAgents();
        message.Agents.Add(cluster.Agents.Values.Select(Of));
        message.RecoveredAgents.Add(cluster.RecoveredAgents.Values);
        return message;
    }

    /// <summary>null where no weight differs from 1: a real master leaves the member out then.</summary>
    public static Response.Types.GetWeights? Weights(Cluster cluster)
    {
        if (cluster.Allocator.Roles.Weights.Count == 0)
            return null;
        var message = new Response.Types.GetWeights();
        message.WeightInfos.Add(cluster.Allocator.Roles.Weights.Select(x => new WeightInfo { Role = x.Key, Weight = x.Value }));
        return message;
    }

    public static Response.Types.GetOperations Operations(Cluster cluster)
    {
        var message = new Response.Types.GetOperations();
        message.Operations.Add(cluster.Frameworks.Values.SelectMany(framework => framework.Operations.Values).Select(one => one.Record.Clone()));
        return message;
    }

    public static Response.Types.GetQuota Quota(Cluster cluster)
    {
        var status = new QuotaStatus();
        foreach (var config in cluster.Allocator.Quotas.Configs)
        {
#pragma warning disable CS0612 // The older form is sent beside the newer one.
            var info = new QuotaInfo { Role = config.Role };
            foreach (var (name, guarantee) in config.Guarantees)
                info.Guarantee.Add(new Resource { Name = name, Type = Value.Types.Type.Scalar, Scalar = guarantee });
            status.Infos.Add(info);
#pragma warning restore CS0612
            status.Configs.Add(config);
        }

        return new() { Status = status };
    }

    public static Response.Types.GetRoles Roles(Cluster cluster)
    {
        var roles = new SortedDictionary<string, Role>(StringComparer.Ordinal);
        foreach (var framework in cluster.Frameworks.Values)
        {
            foreach (var name in framework.Roles)
            {
                if (!roles.TryGetValue(name, out var role))
                    roles[name] = role = new Role { Name = name, Weight = cluster.Allocator.Roles.Weight(name) };
                role.Frameworks.Add(new FrameworkID { Value = framework.Id });
            }
        }

        foreach (var role in roles.Values)
        {
            var sum = new ResourceBag();
            foreach (var framework in cluster.Frameworks.Values)
            {
                foreach (var offer in framework.Offers.Values.Where(offer => offer.Role == role.Name))
                    sum.Add(offer.Resources);
                foreach (var (owner, used) in Used(framework))
                {
                    if (owner == role.Name)
                        sum.Add(used);
                }
            }

            var scalars = sum.ToProtocol().Where(resource => resource.Type == Value.Types.Type.Scalar);
            role.Resources.Add(scalars.OrderBy(resource => resource.Name, StringComparer.Ordinal));
        }

        var message = new Response.Types.GetRoles();
        message.Roles.Add(roles.Values);
        return message;
    }

    public static Response.Types.GetFrameworks.Types.Framework Of(Framework framework)
    {
        var message = new Response.Types.GetFrameworks.Types.Framework
        {
            FrameworkInfo = framework.Record,
            Active = framework.IsConnected,
            Connected = framework.IsConnected,
            Recovered = framework.Recovered,
            RegisteredTime = Cluster.Nanoseconds(framework.Registered),
            ReregisteredTime = Cluster.Nanoseconds(framework.Reregistered),
            OfferConstraints = framework.OfferConstraints ?? new(),
        };
        message.InverseOffers.Add(framework.InverseOffers.Values.Select(offer => offer.ToProtocol()));
        if (framework.Unregistered is { } unregistered)
            message.UnregisteredTime = Cluster.Nanoseconds(unregistered);
        message.Offers.Add(framework.Offers.Values.Select(OfferMessages.Of));
        Add(message.AllocatedResources, Used(framework));
        Add(message.OfferedResources, framework.Offers.Values.Select(offer => (offer.Role, offer.Resources)));
        return message;
    }

    public static Response.Types.GetAgents.Types.Agent Of(Agent agent)
    {
        var message = new Response.Types.GetAgents.Types.Agent
        {
            AgentInfo = agent.Record,
            Active = agent.Slot.Active,
            Deactivated = agent.Deactivation is not null,
            Version = agent.Version,
            Pid = $"slave(1)@{agent.Address?.Ip ?? agent.Record.Hostname}:{agent.Record.Port}",
            RegisteredTime = Cluster.Nanoseconds(agent.Registered),
        };
        if (agent.Reregistered is { } reregistered)
            message.ReregisteredTime = Cluster.Nanoseconds(reregistered);
        if (agent.Deactivation is { Drain: { } drain } deactivation)
        {
            message.DrainInfo = drain;
            message.EstimatedDrainStartTime = deactivation.DrainStart;
        }

        message.TotalResources.Add(agent.Slot.Total.ToProtocol());
        foreach (var resource in message.TotalResources)
            OfferMessages.ToBothForms(resource);
        Add(message.AllocatedResources, Used(agent));
        Add(message.OfferedResources, agent.Offers.Values.Select(offer => (offer.Role, offer.Resources)));
        message.Capabilities.Add(AgentCapabilities);
        return message;
    }

    /// <summary>What tasks and executors of an agent use, by role.</summary>
    public static IEnumerable<(string Role, ResourceBag Resources)> Used(Agent agent) =>
        agent
            .Tasks.Values.Where(task => task.HoldsResources)
            .Select(task => (task.Role, task.Resources))
            .Concat(agent.Executors.Values.Select(executor => (executor.Role, executor.Resources)));

    public static IEnumerable<(string Role, ResourceBag Resources)> Used(Framework framework) =>
        framework
            .Tasks.Values.Where(task => task.HoldsResources)
            .Select(task => (task.Role, task.Resources))
            .Concat(framework.Executors.Values.Select(executor => (executor.Role, executor.Resources)));

    // A record with its own list of statuses; the messages in it do not change any more.
    private static MesosTask Copy(MesosTask record)
    {
        var copy = new MesosTask
        {
            Name = record.Name,
            TaskId = record.TaskId,
            FrameworkId = record.FrameworkId,
            ExecutorId = record.ExecutorId,
            AgentId = record.AgentId,
            State = record.State,
            Labels = record.Labels,
            Discovery = record.Discovery,
            Container = record.Container,
            HealthCheck = record.HealthCheck,
            KillPolicy = record.KillPolicy,
        };
        if (record.HasUser)
            copy.User = record.User;
        if (record.HasStatusUpdateState)
            copy.StatusUpdateState = record.StatusUpdateState;
        if (record.HasStatusUpdateUuid)
            copy.StatusUpdateUuid = record.StatusUpdateUuid;
        copy.Resources.Add(record.Resources);
        copy.Statuses.Add(record.Statuses);
        foreach (var (name, limit) in record.Limits)
            copy.Limits[name] = limit;
        return copy;
    }

    private static void Add(
        Google.Protobuf.Collections.RepeatedField<Resource> field,
        IEnumerable<(string Role, ResourceBag Resources)> parts
    )
    {
        foreach (var role in parts.GroupBy(part => part.Role, StringComparer.Ordinal))
        {
            var sum = new ResourceBag();
            foreach (var (_, resources) in role)
                sum.Add(resources);
            foreach (var resource in sum.ToProtocol(role.Key))
            {
                OfferMessages.ToBothForms(resource);
                field.Add(resource);
            }
        }
    }

    private static uint LittleEndian(string ip) =>
        IPAddress.TryParse(ip, out var address) && address.GetAddressBytes() is { Length: 4 } bytes ? BitConverter.ToUInt32(bytes) : 0;
}
