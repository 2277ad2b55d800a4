using System.Globalization;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Forecasts;

/// <summary>Pods that somebody thinks of making.</summary>
/// <param name="Owner">What would make them, as it is to be named.</param>
/// <param name="Pod">One of them, as the API server would store it: with defaults and its priority.</param>
/// <param name="Count">How many; 0 = none more than there are.</param>
public sealed record WantedPods(string Owner, Pod Pod, int Count)
{
    /// <summary>Claims that are made for each pod (StatefulSet: volumeClaimTemplates), by the template's name.</summary>
    public IReadOnlyList<PersistentVolumeClaim> Templates { get; init; } = [];

    /// <summary>Of the first of them, where pods have claims of their own.</summary>
    public int FirstOrdinal { get; init; }

    internal IEnumerable<PersistentVolumeClaim> ClaimsOf(int index) =>
        Templates.Select(x => x with { Metadata = x.Metadata with { Name = ClaimName(x, index), Namespace = Pod.Namespace, Uid = $"planned {ClaimName(x, index)}" } });

    internal Pod PodOf(int index) => Pod with
    {
        Metadata = Pod.Metadata with { Name = index == 0 ? Pod.Name : $"{Pod.Name}-{index}" },
        Spec = Templates.Count == 0 ? Pod.Spec : Pod.Spec with
        {
            Volumes = [.. Pod.Spec.Volumes.Where(x => !Templates.Any(y => y.Name == x.Name)), .. Templates.Select(x => new Volume { Name = x.Name, PersistentVolumeClaim = new() { ClaimName = ClaimName(x, index) } })],
        },
    };

    private string ClaimName(PersistentVolumeClaim template, int index) => string.Create(CultureInfo.InvariantCulture, $"{template.Name}-{Pod.Name}-{FirstOrdinal + index}");
}

/// <summary>Pods of one owner that would go to one node.</summary>
/// <param name="Displaces">Whom they would displace there (namespace/name), the most important first; empty where there is room.</param>
public sealed record ForecastPlace(string Node, int Count, IReadOnlyList<string> Displaces);

/// <param name="Remedy">What would change it.</param>
public sealed record ForecastReason(string Reason, string Remedy);

/// <summary>Why one agent does not fit.</summary>
public sealed record ForecastRefusal(string Agent, IReadOnlyList<ForecastReason> Reasons);

/// <summary>What would become of the pods of one owner.</summary>
/// <param name="Refused">Pods that would wait for a place.</param>
/// <param name="Why">In one line, why they would wait; "" where none would.</param>
/// <param name="Agents">Every reason of every agent for the first that would wait, the nearest miss first.</param>
public sealed record ForecastRow(string Owner, int Pods, IReadOnlyList<ForecastPlace> Places, int Refused, string Why, IReadOnlyList<ForecastRefusal> Agents);
