using Declarative.Api.Objects;

namespace Declarative.Controllers.Workloads;

/// <summary>Changes to a status' conditions that keep times as Kubernetes does: lastTransitionTime moves only when the status value does.</summary>
internal static class ConditionList
{
    public static Condition? Find(this IReadOnlyList<Condition> conditions, string type) => conditions.FirstOrDefault(x => x.Type == type);

    public static IReadOnlyList<Condition> Without(this IReadOnlyList<Condition> conditions, string type) =>
        conditions.Any(x => x.Type == type) ? [.. conditions.Where(x => x.Type != type)] : conditions;

    /// <summary>Sets a condition in its place. Nothing changes where status and reason are the same already, unless <paramref name="touch"/>.</summary>
    public static IReadOnlyList<Condition> With(
        this IReadOnlyList<Condition> conditions, string type, string status, string reason, string message, DateTimeOffset now, bool touch = false, bool hasUpdateTime = true)
    {
        var old = conditions.Find(type);
        if (old is not null && old.Status == status && old.Reason == reason && !touch) return conditions;
        var condition = new Condition
        {
            Type = type,
            Status = status,
            Reason = reason,
            Message = message,
            LastUpdateTime = hasUpdateTime ? now : null,
            LastTransitionTime = old is not null && old.Status == status ? old.LastTransitionTime : now,
        };
        return old is null ? [.. conditions, condition] : [.. conditions.Select(x => x.Type == type ? condition : x)];
    }
}
