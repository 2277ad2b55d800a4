using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Xunit;

namespace Declarative.Tests.Architecture;

public sealed class KindTests
{
    [Fact]
    public void Every_kind_has_a_type_in_the_table_of_fields() => Assert.Empty(WithoutType(Kind.All));

    [Fact]
    public void A_kind_without_a_type_is_found() =>
        Assert.Equal(["shop/v1 Basket"], WithoutType([Kind.Pod, new() { Group = "shop", Version = "v1", Name = "Basket", Plural = "baskets" }]));

    private static IEnumerable<string> WithoutType(IEnumerable<Kind> kinds) =>
        kinds.Where(x => TypeTable.Kind(x.Group, x.Version, x.Name) == TypeTable.Unknown).Select(x => x.ToString());
}
