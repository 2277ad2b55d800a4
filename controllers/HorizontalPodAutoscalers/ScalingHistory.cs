namespace Declarative.Controllers.HorizontalPodAutoscalers;

/// <summary>A number that the metrics asked for, or by which the replicas changed (below 0 = fewer).</summary>
internal readonly record struct Noted(DateTimeOffset At, int Replicas);

/// <summary>
/// What was recommended and what was done for one autoscaler. It is kept in memory alone, as in Kubernetes: after a restart the present number of
/// replicas is the first recommendation, so nothing is scaled down before the window has passed.
/// </summary>
internal sealed class ScalingHistory
{
    /// <summary>The longest stabilisation window that is valid; no policy has a longer period.</summary>
    private static readonly TimeSpan KeptFor = TimeSpan.FromHours(1);

    private readonly List<Noted> _recommendations = [];
    private readonly List<Noted> _changes = [];

    public IReadOnlyList<Noted> Recommendations => _recommendations;
    public IReadOnlyList<Noted> Changes => _changes;

    /// <summary>The first look at it.</summary>
    public void Begin(int replicas, DateTimeOffset now)
    {
        if (_recommendations.Count == 0) _recommendations.Add(new(now, replicas));
    }

    public void Recommend(int replicas, DateTimeOffset now) => Add(_recommendations, replicas, now);

    public void Change(int by, DateTimeOffset now) => Add(_changes, by, now);

    private static void Add(List<Noted> list, int replicas, DateTimeOffset now)
    {
        list.RemoveAll(x => x.At < now - KeptFor);
        list.Add(new(now, replicas));
    }
}
