using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Xunit;

namespace Declarative.Tests.Architecture;

public sealed class KindTests
{
    /// <summary>Kinds that are stored or served without a check of their fields.</summary>
    private static readonly string[] Unchecked =
    [
        "apiregistration.k8s.io/v1 APIService", // stored without an effect; the table has none of its fields
        "metrics.k8s.io/v1beta1 PodMetrics", "metrics.k8s.io/v1beta1 NodeMetrics", // answers about the present, never stored
        "authentication.k8s.io/v1beta1 SelfSubjectReview", // what kubectl 1.27 asks for; answered, never stored
        // Versions that Kubernetes 1.25 ended; the fields of the types table are those of their successors.
        "batch/v1beta1 CronJob", "policy/v1beta1 PodDisruptionBudget", "discovery.k8s.io/v1beta1 EndpointSlice", "events.k8s.io/v1beta1 Event",
        "networking.k8s.io/v1beta1 Ingress", "networking.k8s.io/v1beta1 IngressClass",
    ];

    [Fact]
    public void Every_kind_has_a_type_in_the_table_of_fields() => Assert.Equal(Unchecked.Order(StringComparer.Ordinal), WithoutType(Kind.All).Order(StringComparer.Ordinal));

    [Fact]
    public void A_kind_without_a_type_is_found() =>
        Assert.Equal(["shop/v1 Basket"], WithoutType([Kind.Pod, new() { Group = "shop", Version = "v1", Name = "Basket", Plural = "baskets" }]));

    private static IEnumerable<string> WithoutType(IEnumerable<Kind> kinds) =>
        kinds.Where(x => TypeTable.Kind(x.Group, x.Version, x.Name) == TypeTable.Unknown).Select(x => x.ToString());
}
