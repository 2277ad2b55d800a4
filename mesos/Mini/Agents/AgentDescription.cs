using System.Globalization;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Attribute = Declarative.Mesos.Protocol.Attribute;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>What an agent says of itself.</summary>
internal static class AgentDescription
{
    public static AgentInfo Of(AgentOptions options, AgentID? id)
    {
        var info = new AgentInfo
        {
            Hostname = options.Hostname,
            Port = options.Port,
            Resources =
            {
                Scalar("cpus", options.Cpus),
                Scalar("mem", options.MemoryMegabytes),
                Scalar("disk", options.DiskMegabytes),
                new Resource
                {
                    Name = "ports",
                    Type = Value.Types.Type.Ranges,
                    Ranges = new()
                    {
                        Range = { new Value.Types.Range { Begin = (ulong)options.Ports.Begin, End = (ulong)options.Ports.End } },
                    },
                },
            },
        };
        foreach (var (name, value) in options.Attributes)
            info.Attributes.Add(AttributeOf(name, value));
        if (id is not null)
            info.Id = id;
        return info;
    }

    /// <summary>The first message on a connection: what it is, and from the second time on what it has.</summary>
    public static ToMaster Introduction(AgentWorld world, IEnumerable<ExecutorRun> runs)
    {
        var options = world.Options;
        var address = new Address
        {
            Hostname = options.Hostname,
            Ip = options.Ip,
            Port = options.Port,
        };
        var self = Of(options, world.Id);
        if (world.Id is null)
        {
            return new ToMaster
            {
                Register = new()
                {
                    Agent = self,
                    Version = options.Version,
                    Address = address,
                },
            };
        }

        var again = new ToMaster.Types.Reregister
        {
            Agent = self,
            Version = options.Version,
            Address = address,
        };
        again.Checkpointed.Add(world.Volumes.Resources);
        again.Operations.Add(world.Volumes.Operations);
        foreach (var run in runs.Where(run => !run.IsSettled))
        {
            if (!again.Frameworks.Any(known => known.Id.Equals(run.FrameworkId)))
                again.Frameworks.Add(run.Framework);
            if (run.Executor is not null && run.EndedAt is null)
                again.Executors.Add(run.Executor);
            foreach (var task in run.Tasks.Where(task => !task.IsSettled).Select(task => task.Record))
            {
                // The latest status is enough for the master.
                while (task.Statuses.Count > 1)
                    task.Statuses.RemoveAt(0);
                again.Tasks.Add(task);
            }
        }

        foreach (var framework in world.Volumes.Frameworks.Where(owner => !again.Frameworks.Any(known => known.Id.Equals(owner.Id))))
            again.Frameworks.Add(framework);
        return new ToMaster { Reregister = again };
    }

    // As Mesos reads its flag: what is a number is a scalar.
    private static Attribute AttributeOf(string name, string value) =>
        double.TryParse(value, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            ? new() { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = number } }
            : new() { Name = name, Type = Value.Types.Type.Text, Text = new() { Value = value } };

    private static Resource Scalar(string name, double value) =>
        new()
        {
            Name = name,
            Type = Value.Types.Type.Scalar,
            Scalar = new() { Value = value },
        };
}
