using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission.Amounts;

/// <summary>What a quota may bound (Kubernetes: ValidateResourceQuotaResourceName, ValidateResourceQuantityValue).</summary>
internal static class QuotaNames
{
    /// <summary>Objects are counted: no fractions of them.</summary>
    private static readonly string[] Counted =
    [
        "configmaps", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas", "secrets", "services", "services.loadbalancers", "services.nodeports",
    ];

    private static readonly string[] Measured =
    [
        "cpu", "ephemeral-storage", "limits.cpu", "limits.ephemeral-storage", "limits.memory", "memory",
        "requests.cpu", "requests.ephemeral-storage", "requests.memory", "requests.storage",
    ];

    public static void Check(JsonObject? hard, string path, List<StatusCause> causes)
    {
        foreach (var (name, amount) in hard ?? [])
        {
            var at = $"{path}[{name}]";
            if (Names.QualifiedNameError(name) is { } error) causes.Add(Metadata.Invalid(at, name, error));
            else if (!IsKnown(name))
            {
                var nearest = Names.Nearest(name, Counted.Concat(Measured)) is { } near ? $"; did you mean \"{near}\"?" : "";
                causes.Add(Metadata.Invalid(at, name, $"must be a standard resource for quota{nearest}"));
            }
            else if ((Counted.Contains(name) || name.StartsWith("count/", StringComparison.Ordinal)) && AmountChecks.TryRead(amount, out var quantity) && quantity.Milli % 1000 != 0)
            {
                causes.Add(Metadata.Invalid(at, amount!.ToString(), "must be an integer"));
            }
        }
    }

    private static bool IsKnown(string name) =>
        name.Contains('/', StringComparison.Ordinal) || Counted.Contains(name) || Measured.Contains(name)
        || name.StartsWith("hugepages-", StringComparison.Ordinal) || name.StartsWith("requests.hugepages-", StringComparison.Ordinal);
}
