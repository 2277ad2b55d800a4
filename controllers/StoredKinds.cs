using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Controllers;

/// <summary>The kinds whose objects are stored under their own name: what garbage collection and namespace deletion go through.</summary>
internal static class StoredKinds
{
    /// <summary>One row for each kind of object of the table, in the first of its versions in the table's order.</summary>
    public static IReadOnlyList<Kind> BuiltIn { get; } =
    [
        .. Kind.All.Where(x => x.Support != KindSupport.Review && x.Group != "metrics.k8s.io" && x.Name is not ("ComponentStatus" or "Binding"))
            .Where(x => x is not { Group: "events.k8s.io" }) // the same objects as core events
            .DistinctBy(x => (x.Group, x.Plural)),
    ];

    /// <summary>The built-in kinds and those that established definitions make, read from the server.</summary>
    public static async Task<IReadOnlyList<Kind>> Read(IApi api, CancellationToken stop)
    {
        var definitions = await api.List(new(Kind.CustomResourceDefinition), stop);
        return [.. BuiltIn, .. definitions.Items.Select(x => CustomResourceDefinition.Read(x.Json).Served()).OfType<Kind>()];
    }

    /// <summary>By the words of an owner reference, whatever version of the kind it names; null for a kind that is not in the table.</summary>
    public static Kind? Find(string apiVersion, string name) =>
        Kind.FindByName(apiVersion, name) is { } kind ? BuiltIn.FirstOrDefault(x => x.Group == kind.Group && x.Plural == kind.Plural) : null;
}
