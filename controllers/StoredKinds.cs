using Declarative.Api.Kinds;

namespace Declarative.Controllers;

/// <summary>The kinds whose objects are stored under their own name: what garbage collection and namespace deletion go through.</summary>
internal static class StoredKinds
{
    /// <summary>One row for each kind of object, in the first of its versions in the table's order.</summary>
    public static IReadOnlyList<Kind> All { get; } =
    [
        .. Kind.All.Where(x => x.Support != KindSupport.Review && x.Group != "metrics.k8s.io" && x.Name is not ("ComponentStatus" or "Binding"))
            .Where(x => x is not { Group: "events.k8s.io" }) // the same objects as core events
            .DistinctBy(x => (x.Group, x.Plural)),
    ];

    public static Kind? Find(string apiVersion, string name) =>
        Kind.FindByName(apiVersion, name) is { } kind ? All.FirstOrDefault(x => x.Group == kind.Group && x.Plural == kind.Plural) : null;
}
