using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;
using Xunit;

namespace Declarative.Tests.Controllers;

public class RestsTests
{
    private static readonly ObjectName Web = new("default", "web");

    private static Plan Writes(string subresource) => new() { Changes = [Change.Merge(ResourceKey.Of(Kind.ReplicaSet, "default", "web"), "{}"u8.ToArray(), subresource)] };

    [Theory]
    [InlineData("status", false, 500)]
    [InlineData("status", true, 0)]
    [InlineData("", false, 0)]
    public void Only_looks_that_change_nothing_but_a_status_are_followed_by_a_rest(string subresource, bool isNew, int milliseconds)
    {
        var rests = new Rests();
        rests.Note(Web, Writes(subresource), isNew);
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), rests.After(Web, 5000));
        rests.Note(Web, Plan.Nothing, isNew: false);
        Assert.Equal(TimeSpan.FromMilliseconds(500), rests.After(Web, 5000));
        Assert.Equal(TimeSpan.Zero, rests.After(Web, 9));
    }
}
