using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Names and amounts of what containers ask for (Kubernetes: ValidateResourceRequirements, validateContainerResourceName).</summary>
internal static class ResourceValidation
{
    private static readonly string[] Standard = ["cpu", "ephemeral-storage", "memory"];

    public static void Container(Part container)
    {
        if (container.Child("resources") is not { } resources) return;
        var (requests, limits) = (resources.Child("requests"), resources.Child("limits"));
        foreach (var list in (ReadOnlySpan<Part?>)[limits, requests])
        {
            if (list is not { } amounts) continue;
            foreach (var (name, value) in amounts.Json) Amount(amounts, name, Rules.Text(value));
        }
        foreach (var (name, value) in requests?.Json ?? [])
        {
            if (MayBeOvercommitted(name)) continue;
            if (limits?.Json[name] is not { } limit) resources.Causes.Add(Metadata.Required(resources.At("limits"), "Limit must be set for non overcommitable resources"));
            else if (Quantity.TryParse(Rules.Text(value), out var wanted) && Quantity.TryParse(Rules.Text(limit), out var most) && wanted != most)
            {
                resources.Causes.Add(Metadata.Invalid(resources.At("requests"), wanted.ToString(), $"must be equal to {name} limit of {most}"));
            }
        }
    }

    private static void Amount(Part amounts, string name, string value)
    {
        var at = $"{amounts.Path}[{name}]";
        if (Names.QualifiedNameError(name) is { } error) amounts.Causes.Add(Metadata.Invalid(at, name, error));
        else if (IsNative(name))
        {
            if (name.Contains('/', StringComparison.Ordinal) || Standard.Contains(name) || IsHugePages(name)) return;
            var nearest = Names.Nearest(name, Standard) is { } near ? $"; did you mean \"{near}\"?" : "";
            amounts.Causes.Add(Metadata.Invalid(at, name, $"must be a standard resource type or fully qualified{nearest}"));
        }
        else if (name.StartsWith("requests.", StringComparison.Ordinal)) amounts.Causes.Add(Metadata.Invalid(at, name, "doesn't follow extended resource name standard"));
        else if (Quantity.TryParse(value, out var quantity) && quantity.Milli % 1000 != 0) amounts.Causes.Add(Metadata.Invalid(at, value, "must be an integer"));
    }

    private static bool IsNative(string name) => !name.Contains('/', StringComparison.Ordinal) || name.Contains("kubernetes.io/", StringComparison.Ordinal);

    private static bool IsHugePages(string name) => name.StartsWith("hugepages-", StringComparison.Ordinal);

    private static bool MayBeOvercommitted(string name) => IsNative(name) && !IsHugePages(name);
}
