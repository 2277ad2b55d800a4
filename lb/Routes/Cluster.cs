using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>
/// The endpoints of one port of a Service. The object stays the same while the port exists, so that whoever routes to it holds a
/// reference; a change of endpoints or settings swaps one immutable snapshot inside and disturbs nothing else.
/// </summary>
public sealed class Cluster
{
    private readonly TimeProvider? _time;
    private readonly ulong _seed;
    private ClusterSnapshot _snapshot = ClusterSnapshot.Empty;
    private uint _turn = uint.MaxValue;

    /// <param name="time">null = no setting that needs the time acts.</param>
    internal Cluster(ServiceKey service, PortRoute port, TimeProvider? time)
    {
        (Service, Name, Number, Mode, _time) = (service, port.Name, port.Number, port.Mode, time);
        _seed = Mixing.Hash(ToString());
        Retries = new();
    }

    public ServiceKey Service { get; }

    /// <summary>The name of the Service's port, "" where it has only one.</summary>
    public string Name { get; }

    /// <summary>The number of the Service's port.</summary>
    public int Number { get; }
    public PortMode Mode { get; }

    /// <summary>All endpoints, those not ready or terminating too, by address and port.</summary>
    public IReadOnlyList<Destination> Destinations => Volatile.Read(ref _snapshot).All;
    /// <summary>Those that take new requests.</summary>
    public IReadOnlyList<Destination> Ready => Volatile.Read(ref _snapshot).Ready;

    /// <summary>What has happened on this port since it exists.</summary>
    public ClusterCounts Counts { get; } = new();

    /// <summary>Connections that clients have made to the port itself; those of Ingress are not among them.</summary>
    public SessionCounts Sessions { get; } = new();

    public int ReadyCount => Volatile.Read(ref _snapshot).Ready.Length;

    public BackendSettings Settings => Volatile.Read(ref _snapshot).Settings;

    /// <summary>null = nothing is done with a request before an endpoint is chosen.</summary>
    public EdgeSettings? Edge => Volatile.Read(ref _snapshot).Edge;

    /// <summary>0–<see cref="Limits.WeightMax"/>, as the settings have it.</summary>
    internal int WeightOf(Destination destination) => ClusterSnapshot.WeightOf(destination, Settings);

    internal RetryBudget Retries { get; }

    /// <summary>
    /// The next endpoint with the request counted on it, null where there is none. To be given back by <see cref="Destination.Release"/>.
    /// </summary>
    /// <param name="but">Not this one: it has just failed.</param>
    /// <param name="client">Hash of the client's address; used by <see cref="Balance.Source"/> alone.</param>
    public Destination? Pick(Destination? but = null, ulong client = 0)
    {
        var snapshot = Volatile.Read(ref _snapshot);
        if (!snapshot.IsPlain) return PickBy(snapshot, but, client);
        var ready = snapshot.Ready;
        if (ready.Length == 0) return null;
        // A second attempt takes no turn of its own: with two endpoints every first attempt would go to the same one.
        var turn = but is null ? Interlocked.Increment(ref _turn) : Volatile.Read(ref _turn);
        for (var i = 0; i < ready.Length; i++)
        {
            var destination = ready[(int)((turn + (uint)i) % (uint)ready.Length)];
            if (destination != but && destination.TryEnter()) return destination;
        }
        return null;
    }

    /// <summary>The endpoint with this <see cref="Destination.Id"/>, if it takes requests; counted on as by <see cref="Pick"/>.</summary>
    public Destination? PickById(string id)
    {
        var snapshot = Volatile.Read(ref _snapshot);
        foreach (var destination in snapshot.Takers)
        {
            if (destination.Id == id) return IsUsable(destination, snapshot, Now()) && TryBegin(destination, snapshot, Now()) && TryEnter(destination, snapshot) ? destination : null;
        }
        return null;
    }

    /// <summary>Tells what came of a request, where <see cref="BackendSettings.Outlier"/> is set.</summary>
    /// <param name="failed">No connection, no answer, or one of 502, 503, 504.</param>
    internal void Outcome(Destination destination, bool failed)
    {
        var snapshot = Volatile.Read(ref _snapshot);
        if (snapshot.Settings.Outlier is not { } outlier || _time is null) return;
        var health = destination.Health;
        if (!failed)
        {
            health.Worked(health.IsSuspect ? Now() : 0);
            return;
        }
        var now = Now();
        var onTrial = health.IsOnTrial(now);
        if (health.Failed() < outlier.Failures && !onTrial) return;
        var away = 0;
        foreach (var taker in snapshot.Takers)
        {
            if (taker != destination && taker.Health.IsEjected(now)) away++;
        }
        if ((away + 1) * 100 > snapshot.Takers.Length * outlier.PercentMax)
        {
            if (onTrial) health.TryAgain();
            return;
        }
        if (health.Eject(now, outlier.Ejection.Ticks)) Interlocked.Increment(ref Counts.EjectionCount);
    }

    internal void Swap(Destination[] all, Destination[] ready, PortSettings settings)
    {
        var before = Volatile.Read(ref _snapshot);
        if (settings.Backend.SlowStart > TimeSpan.Zero && _time is not null)
        {
            foreach (var destination in ready)
            {
                if (!before.Ready.Contains(destination)) destination.Health.ReadySince = Now();
            }
        }
        Volatile.Write(ref _snapshot, ClusterSnapshot.Of(all, ready, settings.Backend, settings.Edge?.Continue(before.Edge)));
    }

    public override string ToString() => $"{Service}:{(Name.Length > 0 ? Name : Number)}";

    internal long Now() => _time is null ? 0 : _time.GetElapsedTime(0, _time.GetTimestamp()).Ticks;

    private Destination? PickBy(ClusterSnapshot snapshot, Destination? but, ulong client)
    {
        var turn = but is null ? Interlocked.Increment(ref _turn) : Volatile.Read(ref _turn);
        var now = snapshot.NeedsTime ? Now() : 0;
        // An endpoint that others fill up or that closes meanwhile is no longer usable in the next look.
        for (var attempt = 0; attempt <= snapshot.Takers.Length; attempt++)
        {
            var best = Choose(snapshot, but, client, turn + (uint)attempt, now, Strictness.All) ?? Choose(snapshot, but, client, turn + (uint)attempt, now, Strictness.NotSlowStart);
            if (best is not null && !TryBegin(best, snapshot, now)) continue; // another request is its trial
            best ??= Choose(snapshot, but, client, turn + (uint)attempt, now, Strictness.NotEjection);
            if (best is null) return null;
            if (TryEnter(best, snapshot)) return best;
        }
        return null;
    }

    /// <summary>What keeps an endpoint from being chosen; each pass asks less, so that failures in a row never empty the pool.</summary>
    private enum Strictness
    {
        All,
        NotSlowStart,
        NotEjection,
    }

    private Destination? Choose(ClusterSnapshot snapshot, Destination? but, ulong client, uint turn, long now, Strictness strictness)
    {
        var takers = snapshot.Takers;
        if (takers.Length == 0) return null;
        var chance = Mixing.Mix(_seed + turn);
        Destination? best = null;
        switch (snapshot.Settings.Balance)
        {
            case Balance.Source:
                var score = double.MaxValue;
                for (var i = 0; i < takers.Length; i++)
                {
                    if (!Usable(i)) continue;
                    // Weighted rendezvous hashing: the smallest of exponentially distributed numbers with the weights as rates.
                    var own = -Math.Log(((Mixing.Mix(client ^ takers[i].Hash) >> 11) + 1) * (1.0 / (1UL << 53))) / snapshot.Weight(i);
                    if (own < score) (best, score) = (takers[i], own);
                }
                return best;
            case Balance.LeastRequests:
                var load = double.MaxValue;
                for (var i = 0; i < takers.Length; i++)
                {
                    // Beginning at another one each time, so that equals take turns.
                    var at = (int)((turn + (uint)i) % (uint)takers.Length);
                    if (!Usable(at)) continue;
                    var own = (takers[at].InFlight + 1.0) / snapshot.Weight(at);
                    if (own < load) (best, load) = (takers[at], own);
                }
                return best;
            case Balance.PowerOfTwo:
                var one = Next(snapshot.At(chance));
                if (one < 0) return null;
                var two = Next(snapshot.At(Mixing.Mix(chance)));
                if (one == two) two = Next((one + 1) % takers.Length);
                return (takers[two].InFlight + 1.0) / snapshot.Weight(two) < (takers[one].InFlight + 1.0) / snapshot.Weight(one) ? takers[two] : takers[one];
            case Balance.Random:
                return Next(snapshot.At(chance)) is var random and >= 0 ? takers[random] : null;
            default:
                var first = snapshot.HasWeights ? snapshot.At(turn * Mixing.Golden) : (int)(turn % (uint)takers.Length);
                return Next(first) is var next and >= 0 ? takers[next] : null;
        }

        int Next(int from)
        {
            for (var i = 0; i < takers.Length; i++)
            {
                var at = (from + i) % takers.Length;
                if (Usable(at)) return at;
            }
            return -1;
        }

        bool Usable(int i) =>
            takers[i] != but && (strictness == Strictness.NotEjection ? IsOpen(takers[i], snapshot) : IsUsable(takers[i], snapshot, now))
            && (strictness != Strictness.All || snapshot.Settings.SlowStart <= TimeSpan.Zero || IsWarm(takers[i], snapshot, now, Mixing.Mix(chance + (ulong)i)));
    }

    private static bool IsOpen(Destination destination, ClusterSnapshot snapshot) =>
        !destination.IsClosed && (snapshot.Settings.InFlightMax == 0 || destination.InFlight < snapshot.Settings.InFlightMax)
        && (snapshot.Settings.Health is null || !destination.Health.IsDown);

    private static bool IsUsable(Destination destination, ClusterSnapshot snapshot, long now) =>
        IsOpen(destination, snapshot) && (snapshot.Settings.Outlier is null || !destination.Health.IsEjected(now));

    /// <summary>At first one request in ten that would be its, then more, up to all of them at the end of the slow start.</summary>
    private static bool IsWarm(Destination destination, ClusterSnapshot snapshot, long now, ulong chance)
    {
        var since = now - destination.Health.ReadySince;
        var whole = snapshot.Settings.SlowStart.Ticks;
        return since >= whole || (chance >> 11) * (1.0 / (1UL << 53)) < Math.Max(0.1, (double)since / whole);
    }

    private static bool TryBegin(Destination destination, ClusterSnapshot snapshot, long now) =>
        snapshot.Settings.Outlier is not { } outlier || destination.Health.TryBegin(now, Math.Min(outlier.Ejection.Ticks, Limits.TrialMax.Ticks));

    private static bool TryEnter(Destination destination, ClusterSnapshot snapshot)
    {
        if (!destination.TryEnter()) return false;
        if (snapshot.Settings.InFlightMax == 0 || destination.InFlight <= snapshot.Settings.InFlightMax) return true;
        destination.Release();
        return false;
    }
}
