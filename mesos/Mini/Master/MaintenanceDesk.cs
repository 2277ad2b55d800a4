using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MaintenanceApi;
using Declarative.Mesos.Protocol.SchedulerApi;
using Answered = Declarative.Mesos.Protocol.AllocatorApi.InverseOfferStatus;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>
/// The maintenance schedule: offers of machines in it say when they will be unavailable, frameworks that use them get inverse offers, and
/// a machine that is taken down loses its agents until it is up again.
/// </summary>
/// <remarks>Source: Mesos' document "Maintenance Primitives".</remarks>
internal sealed class MaintenanceDesk(Cluster cluster)
{
    private readonly Dictionary<(string Agent, string Framework), Answered> _answers = [];
    private readonly Dictionary<(string Agent, string Framework), DateTimeOffset> _quiet = [];

    public Schedule Schedule { get; private set; } = new();
    public List<MachineID> Down { get; } = [];

    /// <summary>Takes an agent of a machine that goes down out of the cluster.</summary>
    public Action<Agent, string> Remove { get; init; } = (_, _) => { };

    public void Recover(Schedule? schedule, IEnumerable<MachineID> down)
    {
        Schedule = schedule?.Clone() ?? new();
        Down.AddRange(down);
    }

    public CallOutcome Update(Schedule schedule)
    {
        if (Fault(schedule) is { } fault)
            return CallOutcome.Refused(fault);
        Schedule = schedule.Clone();
        foreach (var agent in cluster.Agents.Values)
            Meet(agent);
        cluster.Allocate();
        Ask();
        return CallOutcome.Done;
    }

    public CallOutcome Start(IReadOnlyCollection<MachineID> machines)
    {
        foreach (var machine in machines)
        {
            if (IsDown(machine))
                return CallOutcome.Refused($"Machine '{Text(machine)}' is not in DRAINING mode and cannot be brought down");
            if (!Schedule.Windows.Any(window => window.MachineIds.Contains(machine)))
                return CallOutcome.Refused($"Machine '{Text(machine)}' is not part of a maintenance schedule");
        }

        Down.AddRange(machines);
        foreach (var agent in cluster.Agents.Values.Where(IsDown).ToList())
        {
            agent.Send(new ToAgent { Shutdown = new() { Message = "Operator initiated 'Machine DOWN'" } });
            Remove(agent, "operator initiated 'Machine DOWN'");
        }

        return CallOutcome.Done;
    }

    public CallOutcome Stop(IReadOnlyCollection<MachineID> machines)
    {
        foreach (var machine in machines)
        {
            if (!IsDown(machine))
                return CallOutcome.Refused($"Machine '{Text(machine)}' is not in DOWN mode and cannot be brought up");
        }

        var left = new Schedule();
        foreach (var window in Schedule.Windows)
        {
            var rest = window.Clone();
            foreach (var machine in machines)
                rest.MachineIds.Remove(machine);
            if (rest.MachineIds.Count > 0)
                left.Windows.Add(rest);
        }

        Down.RemoveAll(machines.Contains);
        return Update(left);
    }

    public ClusterStatus Status()
    {
        var status = new ClusterStatus();
        foreach (var machine in Schedule.Windows.SelectMany(window => window.MachineIds).Where(machine => !IsDown(machine)))
        {
            var draining = new ClusterStatus.Types.DrainingMachine { Id = machine };
            foreach (var agent in cluster.Agents.Values.Where(agent => Is(machine, agent)))
                draining.Statuses.Add(_answers.Where(answer => answer.Key.Agent == agent.Id).Select(answer => answer.Value));
            status.DrainingMachines.Add(draining);
        }

        status.DownMachines.Add(Down);
        return status;
    }

    /// <summary>The agent's machine was taken down.</summary>
    public bool IsDown(Agent agent) => Down.Exists(machine => Is(machine, agent));

    public bool IsDown(string hostname, string? ip) => Down.Exists(machine => Is(machine, hostname, ip));

    /// <summary>An agent has come, or the schedule has changed: its offers are made anew when they would say something else.</summary>
    public void Meet(Agent agent)
    {
        var unavailability = Schedule.Windows.FirstOrDefault(window => window.MachineIds.Any(machine => Is(machine, agent)))?.Unavailability;
        if (Equals(agent.Unavailability, unavailability))
            return;
        agent.Unavailability = unavailability;
        foreach (var offer in agent.Offers.Values.ToList())
            cluster.Rescind(offer);
        foreach (var key in _answers.Keys.Where(key => key.Agent == agent.Id).ToList())
            _answers.Remove(key);
        foreach (var key in _quiet.Keys.Where(key => key.Agent == agent.Id).ToList())
            _quiet.Remove(key);
        foreach (var asked in cluster.Frameworks.Values.SelectMany(framework => framework.InverseOffers.Values).Where(one => one.Agent == agent).ToList())
        {
            asked.Framework.InverseOffers.Remove(asked.Id);
            var rescind = new Event.Types.RescindInverseOffer { InverseOfferId = new() { Value = asked.Id } };
            asked.Framework.Send(new Event { Type = EventType.RescindInverseOffer, RescindInverseOffer = rescind });
        }
    }

    /// <summary>Sends inverse offers to the frameworks that use machines of the schedule and were not asked already.</summary>
    public void Ask()
    {
        foreach (var framework in cluster.Frameworks.Values.Where(framework => framework.IsConnected))
        {
            var message = new Event.Types.InverseOffers();
            foreach (var agent in Used(framework).Where(agent => agent.Unavailability is not null))
            {
                if (_quiet.TryGetValue((agent.Id, framework.Id), out var until) && until > cluster.Now)
                    continue;
                if (framework.InverseOffers.Values.Any(asked => asked.Agent == agent))
                    continue;
                var offer = new InverseOffer(cluster.NextOfferId(), framework, agent, agent.Unavailability!);
                framework.InverseOffers.Add(offer.Id, offer);
                message.InverseOffers_.Add(offer.ToProtocol());
            }

            if (message.InverseOffers_.Count > 0)
                framework.Send(new Event { Type = EventType.InverseOffers, InverseOffers = message });
        }
    }

    /// <summary>A task began on an agent of the schedule: its framework is asked in the next round.</summary>
    public void Launched(Agent agent)
    {
        if (agent.Unavailability is not null)
            cluster.Later.After(cluster.Options.AllocationInterval, Ask);
    }

    public void Answer(Framework framework, IEnumerable<OfferID> ids, Filters? filters, bool accepted)
    {
        var quiet = TimeSpan.FromSeconds(Math.Clamp(filters?.RefuseSeconds ?? new Filters().RefuseSeconds, 0, Limits.RefuseSecondsMax));
        foreach (var id in ids)
        {
            if (!framework.InverseOffers.Remove(id.Value, out var offer))
                continue;
            var key = (offer.Agent.Id, framework.Id);
            _answers[key] = new()
            {
                Status = accepted ? Answered.Types.Status.Accept : Answered.Types.Status.Decline,
                FrameworkId = framework.Record.Id,
                Timestamp = Cluster.Nanoseconds(cluster.Now),
            };
            _quiet[key] = cluster.Now + quiet;
        }

        cluster.Later.After(quiet < cluster.Options.AllocationInterval ? cluster.Options.AllocationInterval : quiet, Ask);
    }

    private static IEnumerable<Agent> Used(Framework framework) =>
        framework
            .Tasks.Values.Where(task => task.HoldsResources)
            .Select(task => task.Agent)
            .Concat(framework.Executors.Values.Select(executor => executor.Agent))
            .Distinct()
            .OrderBy(agent => agent.Id, StringComparer.Ordinal);

    private string? Fault(Schedule schedule)
    {
        HashSet<MachineID> seen = [];
        foreach (var window in schedule.Windows)
        {
            if (window.MachineIds.Count == 0)
                return "List of machines in the maintenance window is empty";
            if (window.Unavailability.Duration?.Nanoseconds < 0)
                return "Unavailability 'duration' is negative";
            foreach (var machine in window.MachineIds)
            {
                if (machine.Hostname.Length == 0 && machine.Ip.Length == 0)
                    return "Both 'hostname' and 'ip' for a machine are empty";
                if (machine.Ip.Length > 0 && !System.Net.IPAddress.TryParse(machine.Ip, out _))
                    return $"Failed to parse 'ip' '{machine.Ip}' of a machine";
                if (!seen.Add(machine))
                    return $"Machine '{Text(machine)}' appears more than once in the schedule";
            }
        }

        return Down.Find(machine => !seen.Contains(machine)) is { } missing
            ? $"Machine '{Text(missing)}' is deactivated and cannot be removed from the schedule"
            : null;
    }

    private bool IsDown(MachineID machine) => Down.Contains(machine);

    private static bool Is(MachineID machine, Agent agent) => Is(machine, agent.Record.Hostname, agent.Address?.Ip);

    // What the machine's id leaves out may be anything.
    private static bool Is(MachineID machine, string hostname, string? ip) =>
        (machine.Hostname.Length == 0 || machine.Hostname.Equals(hostname, StringComparison.OrdinalIgnoreCase))
        && (machine.Ip.Length == 0 || machine.Ip == ip);

    private static string Text(MachineID machine) =>
        machine.Hostname.Length == 0 ? machine.Ip : machine.Ip.Length == 0 ? machine.Hostname : $"{machine.Hostname} ({machine.Ip})";
}
