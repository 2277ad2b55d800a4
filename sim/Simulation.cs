using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Protocol;

using Task = System.Threading.Tasks.Task;

namespace Declarative.Sim;

public sealed record SimulationOptions
{
    /// <summary>Simulated time with faults; afterwards the world gets <see cref="RestFor"/> to come to rest.</summary>
    public TimeSpan For { get; init; } = TimeSpan.FromMinutes(10);
    public TimeSpan RestFor { get; init; } = TimeSpan.FromMinutes(20);
    public int Agents { get; init; } = 4;
    public Mutant Mutant { get; init; } = Mutant.None;

    /// <summary>Lines of history that are kept.</summary>
    public int Notes { get; init; } = 400;

    /// <summary>False: only users act, nothing fails.</summary>
    public bool Faults { get; init; } = true;
}

/// <summary>What one seed showed.</summary>
/// <param name="Violations">Promises that were broken; empty = passed.</param>
/// <param name="Hash">Of the whole history; equal for equal seeds.</param>
/// <param name="Notes">The end of the history, for reading.</param>
public sealed record SimulationResult(int Seed, IReadOnlyList<string> Violations, ulong Hash, TimeSpan Elapsed, Tally Tally, IReadOnlyList<string> Notes)
{
    public bool Passed => Violations.Count == 0;
}

/// <summary>
/// One seed: the API server, the given parts, an embedded master and emulated agents, users who change their minds, and faults; first
/// turmoil, then rest, in which everything must come to what was asked for.
/// </summary>
public sealed class Simulation
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(500);

    private readonly World _world;
    private readonly SimulationOptions _options;
    private readonly Tally _tally = new();
    private readonly Chances _chances;
    private readonly Witness _witness;
    private readonly SimulatedCluster _cluster;
    private readonly SimulatedUsers _users;

    private Simulation(int seed, Func<SimulatedTraffic, IReadOnlyList<Part>> parts, SimulationOptions options)
    {
        _world = new World(seed, options.Notes);
        _options = options;
        _chances = new Chances(_world, _tally) { Enabled = false };
        _witness = new Witness(_world, _tally);
        _cluster = new SimulatedCluster(_world, _chances, _witness, parts(new(_witness, options.Mutant)), options);
        var user = new Part("user", User.Admin, (_, _, _, _, _) => Task.CompletedTask);
        _users = new SimulatedUsers(new(_world, _tally, new ApiLink(_world, _chances, () => _cluster.Connect(user.User), user, _witness, Mutant.None)));
    }

    public static SimulationResult Run(int seed, IReadOnlyList<Part> parts, SimulationOptions options) => Run(seed, _ => parts, options);

    /// <param name="parts">Makes the parts; those with emulated clients tell whom these reach.</param>
    public static SimulationResult Run(int seed, Func<SimulatedTraffic, IReadOnlyList<Part>> parts, SimulationOptions options)
    {
        var simulation = new Simulation(seed, parts, options);
        try
        {
            simulation._world.Run(simulation.Live);
        }
        catch (InvalidOperationException e)
        {
            simulation._witness.Violated("the world goes on", e.Message);
        }
        return new(seed, simulation._witness.Violations, simulation._world.Hash, simulation._world.Elapsed, simulation._tally, [.. simulation._world.Notes]);
    }

    private async Task Live()
    {
        _witness.Tasks = _cluster.Tasks;
        _witness.Volumes = new(_witness, _cluster.Volumes, _cluster.AgentIds);
        _witness.Work = new(_world, _witness, _tally);
        using var end = new CancellationTokenSource();
        await _cluster.Start();
        await _users.Begin();
        var looking = Look(end.Token);
        if (_options.Faults) _chances.Enabled = true;
        await Turmoil();
        _chances.Enabled = false;
        await _cluster.Repair();
        await _users.Settle();
        await Rest();
        end.Cancel();
        await looking;
    }

    /// <summary>Something happens every few seconds.</summary>
    private async Task Turmoil()
    {
        while (_world.Elapsed < _options.For && _witness.Violations.Count == 0)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(_world.Random.Next(200, 9000)), _world.Time);
            if (_world.Random.Next(2) == 0 || !_options.Faults) await _users.Act();
            else await _cluster.Suffer();
        }
    }

    /// <summary>
    /// Without faults everything comes to what was asked for: that many ready pods, no others, endpoints for exactly those. Of the work of low
    /// priority as much runs as there is room for.
    /// </summary>
    private async Task Rest()
    {
        var until = _world.Elapsed + _options.RestFor;
        var open = "";
        var quiet = 0;
        while (_world.Elapsed < until && _witness.Violations.Count == 0)
        {
            await Task.Delay(TimeSpan.FromSeconds(5), _world.Time);
            await _users.Mind();
            open = await Unsettled();
            quiet = open.Length == 0 ? quiet + 1 : 0;
            if (quiet == 3) return;
        }
        if (_witness.Violations.Count == 0) _witness.Violated("everything converges", open);
    }

    private async Task<string> Unsettled()
    {
        var api = _cluster.Connect(User.ApiServer).Api;
        var pods = (await api.List(new(Kind.Pod))).Items.Select(x => Pod.Read(x.Json)).ToList();
        var slices = (await api.List(new(Kind.EndpointSlice))).Items.Select(x => EndpointSlice.Read(x.Json)).ToList();
        var live = _cluster.Tasks().Where(x => !Witness.IsOver(x.State)).Select(x => x.Task).Order(StringComparer.Ordinal).ToList();
        var expected = pods.Where(x => !x.IsFinished && x.Task is not null).Select(x => x.Task!.Id).Order(StringComparer.Ordinal).ToList();
        var text = new StringBuilder();
        foreach (var stored in (await api.List(new(Kind.Deployment))).Items)
        {
            var deployment = Deployment.Read(stored.Json);
            var selector = deployment.Spec.Selector.ToSelector();
            var mine = pods.Where(x => x.Namespace == deployment.Namespace && selector.Matches(x.Metadata.Labels) && !x.IsFinished).ToList();
            var ready = mine.Count(x => x.IsReady && !x.Metadata.IsDeleting);
            if (SimulatedUsers.IsBatch(deployment))
            {
                if (mine.Count != deployment.Spec.Replicas || mine.Any(x => x.Metadata.IsDeleting || !x.IsReady && x.Spec.NodeName.Length > 0)) text.Append(CultureInfo.InvariantCulture, $"{stored.Key}: {deployment.Spec.Replicas} wanted, {mine.Count} pods, {ready} ready. ");
                continue;
            }
            var status = deployment.Status;
            if (ready != deployment.Spec.Replicas || mine.Count != ready) text.Append(CultureInfo.InvariantCulture, $"{stored.Key}: {deployment.Spec.Replicas} wanted, {ready} ready of {mine.Count} pods ({string.Join("; ", mine.Where(x => !x.IsReady).Select(Describe))}). ");
            else if (status.ReadyReplicas != ready || status.UpdatedReplicas != ready || status.ObservedGeneration != deployment.Metadata.Generation) text.Append(CultureInfo.InvariantCulture, $"{stored.Key}: status says ready {status.ReadyReplicas}, updated {status.UpdatedReplicas}, generation {status.ObservedGeneration} of {deployment.Metadata.Generation}. ");
            var endpoints = slices.Where(x => x.Namespace == deployment.Namespace && x.ServiceName == deployment.Name).SelectMany(x => x.Endpoints).Where(x => x.Conditions.IsReady).Select(x => x.TargetRef?.Uid ?? "").Order(StringComparer.Ordinal);
            if (!endpoints.SequenceEqual(mine.Where(x => x.IsReady).Select(x => x.Uid).Order(StringComparer.Ordinal))) text.Append(CultureInfo.InvariantCulture, $"{stored.Key}: endpoints are not its ready pods. ");
        }
        SimulatedSets.Unsettled((await api.List(new(Kind.StatefulSet))).Items.Select(x => StatefulSet.Read(x.Json)), pods, text);
        SimulatedJobs.Unsettled((await api.List(new(Kind.Job))).Items.Select(x => Job.Read(x.Json)), text);
        foreach (var ns in (await api.List(new(Kind.Namespace))).Items.Select(x => Namespace.Read(x.Json)).Where(x => x.Metadata.IsDeleting)) text.Append(CultureInfo.InvariantCulture, $"namespace {ns.Name} is still there. ");
        var volumes = (await api.List(new(Kind.PersistentVolume))).Items.Select(x => x.Key.Name).Order(StringComparer.Ordinal).ToList();
        var kept = _cluster.Volumes().Select(x => x.Volume).Order(StringComparer.Ordinal).ToList();
        if (!volumes.SequenceEqual(kept)) text.Append(CultureInfo.InvariantCulture, $"agents keep volumes [{string.Join(' ', kept)}], the API says [{string.Join(' ', volumes)}]. ");
        if (!live.SequenceEqual(expected)) text.Append(CultureInfo.InvariantCulture, $"tasks [{string.Join(' ', live.Except(expected))}] run for nobody, [{string.Join(' ', expected.Except(live))}] are missing. ");
        return text.ToString().TrimEnd();

        static string Describe(Pod pod) => $"{pod.Name} {pod.Status.Phase} {pod.Status.Reason} task {pod.Task?.Id ?? "none"}{(pod.Metadata.IsDeleting ? " deleting" : "")} {pod.Status.Conditions.FirstOrDefault(x => !x.IsTrue)?.Message}";
    }

    private async Task Look(CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            _cluster.EndWork();
            _witness.LookAtTasks();
            _witness.Volumes!.Look();
            _witness.LookAtEndpoints();
            try
            {
                await Task.Delay(LookEvery, _world.Time, end);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
