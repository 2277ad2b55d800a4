using System.Globalization;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>
/// Task ids (architecture.md, decision 5): <c>podUID.attempt</c> for a pod of one container. A task group of several has the executor id
/// <c>podUID.attempt</c> and one task <c>podUID.attempt.container</c> for each container.
/// </summary>
internal readonly record struct PodTask(string PodUid, int Attempt, string Container = "")
{
    public string AttemptId => $"{PodUid}.{Attempt.ToString(CultureInfo.InvariantCulture)}";

    public string TaskId => Container.Length == 0 ? AttemptId : $"{AttemptId}.{Container}";

    /// <summary>False for a task id that is not one of ours.</summary>
    public static bool TryParse(string id, out PodTask task)
    {
        task = default;
        var first = id.IndexOf('.', StringComparison.Ordinal);
        if (first <= 0) return false;
        var second = id.IndexOf('.', first + 1);
        var attempt = second < 0 ? id.AsSpan(first + 1) : id.AsSpan(first + 1, second - first - 1);
        if (!int.TryParse(attempt, NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return false;
        task = new(id[..first], number, second < 0 ? "" : id[(second + 1)..]);
        return true;
    }
}
