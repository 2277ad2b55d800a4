using Declarative.Lb.Settings;

namespace Declarative.Lb.Routes;

/// <summary>Endpoints and settings of a cluster at one moment; immutable.</summary>
internal sealed class ClusterSnapshot
{
    /// <summary>Running sums of the weights, null where all are equal.</summary>
    private readonly int[]? _sums;

    private ClusterSnapshot(Destination[] all, Destination[] ready, Destination[] takers, int[]? sums, BackendSettings settings, EdgeSettings? edge)
    {
        (All, Ready, Takers, _sums, Settings, Edge) = (all, ready, takers, sums, settings, edge);
        NeedsTime = settings.SlowStart > TimeSpan.Zero || settings.Outlier is not null;
        IsPlain = sums is null && settings.Balance == Balance.RoundRobin && !NeedsTime && settings.InFlightMax == 0 && settings.Health is null && takers.Length == ready.Length;
    }

    public static ClusterSnapshot Empty { get; } = new([], [], [], null, BackendSettings.Default, null);

    public Destination[] All { get; }
    public Destination[] Ready { get; }

    /// <summary>The ready ones with a weight above 0; all ready ones where none has.</summary>
    public Destination[] Takers { get; }
    public BackendSettings Settings { get; }
    public EdgeSettings? Edge { get; }

    /// <summary>Turn by turn, and nothing else to look at.</summary>
    public bool IsPlain { get; }
    public bool NeedsTime { get; }
    public bool HasWeights => _sums is not null;

    public static ClusterSnapshot Of(Destination[] all, Destination[] ready, BackendSettings settings, EdgeSettings? edge)
    {
        if (settings.Weights.IsEmpty) return new(all, ready, ready, null, settings, edge);
        var takers = Array.FindAll(ready, x => WeightOf(x, settings) > 0);
        if (takers.Length == 0) return new(all, ready, ready, null, settings, edge);
        var sums = new int[takers.Length];
        var sum = 0;
        for (var i = 0; i < takers.Length; i++) sums[i] = sum += WeightOf(takers[i], settings);
        return new(all, ready, takers, sums, settings, edge);
    }

    public int Weight(int taker) => _sums is null ? 1 : taker == 0 ? _sums[0] : _sums[taker] - _sums[taker - 1];

    /// <summary>The taker at a position of the whole range of numbers, each with a part as large as its weight.</summary>
    public int At(ulong position)
    {
        if (_sums is null) return (int)Math.BigMul(position, (ulong)Takers.Length, out _);
        var at = Array.BinarySearch(_sums, (int)Math.BigMul(position, (ulong)_sums[^1], out _) + 1);
        return at < 0 ? ~at : at;
    }

    public static int WeightOf(Destination destination, BackendSettings settings) =>
        settings.Weights.TryGetValue(destination.PodName, out var weight) || settings.Weights.TryGetValue(destination.EndPoint.ToString(), out weight)
        || settings.Weights.TryGetValue(destination.Address, out weight) ? weight : 1;
}
