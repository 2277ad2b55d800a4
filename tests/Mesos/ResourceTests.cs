using Declarative.Mesos.Protocol;
using Declarative.Mesos.Resources;
using Xunit;

namespace Declarative.Tests.Mesos;

public sealed class ResourceTests
{
    [Fact]
    public void Range_sets_behave_like_sets_of_numbers()
    {
        var random = new Random(11);
        for (var round = 0; round < 2000; round++)
        {
            var (a, inA) = Arbitrary(random);
            var (b, inB) = Arbitrary(random);
            Assert.Equal(inA.Union(inB).Order(), Numbers(a.Add(b)));
            Assert.Equal(inA.Except(inB).Order(), Numbers(a.Subtract(b)));
            Assert.Equal(inB.IsSubsetOf(inA), a.Contains(b));
            Assert.Equal((ulong)inA.Count, a.Count);
            for (ulong number = 0; number < 40; number++)
                Assert.Equal(inA.Contains(number), a.Contains(number));
        }
    }

    [Fact]
    public void Bags_add_and_subtract_exactly()
    {
        var bag = ResourceBag.Of([TestFramework.Scalar("cpus", 0.3), TestFramework.Scalar("mem", 32)]);
        for (var i = 0; i < 1000; i++)
            bag.Add(TestFramework.Scalar("cpus", 0.1));
        Assert.Equal(100_300, bag.Scalar("cpus"));
        var tenth = ResourceBag.Of([TestFramework.Scalar("cpus", 0.1)]);
        for (var i = 0; i < 1003; i++)
            bag.Subtract(tenth);
        Assert.Equal("mem:32", bag.ToString());
        Assert.False(bag.Contains(tenth));
        Assert.Throws<InvalidOperationException>(() => bag.Subtract(tenth));
    }

    [Fact]
    public void Reserved_resources_are_other_resources()
    {
        var reserved = TestFramework.Scalar("cpus", 2);
        reserved.Reservations.Add(
            new Resource.Types.ReservationInfo { Type = Resource.Types.ReservationInfo.Types.Type.Dynamic, Role = "db", Principal = "p" }
        );
        var bag = ResourceBag.Of([TestFramework.Scalar("cpus", 1), reserved]);
        Assert.Equal(3000, bag.Scalar("cpus"));
        Assert.False(bag.Contains(ResourceBag.Of([TestFramework.Scalar("cpus", 2)])));
        Assert.Equal("cpus(allocated: x):1; cpus(allocated: x)(reservations: [(DYNAMIC,db,p)]):2", bag.ToText("x"));
        Assert.Equal(1000, bag.UsableBy("web").Scalar("cpus"));
        Assert.Equal(3000, bag.UsableBy("db/replica").Scalar("cpus"));
        Assert.Equal(bag.ToString(), ResourceBag.Of(bag.ToProtocol("x")).ToString());
    }

    private static (RangeSet, HashSet<ulong>) Arbitrary(Random random)
    {
        HashSet<ulong> numbers = [];
        List<(ulong, ulong)> ranges = [];
        for (var i = random.Next(0, 5); i > 0; i--)
        {
            var begin = (ulong)random.Next(0, 35);
            var end = begin + (ulong)random.Next(0, 5);
            ranges.Add((begin, end));
            for (var number = begin; number <= end; number++)
                numbers.Add(number);
        }

        return (RangeSet.Of(ranges), numbers);
    }

    private static List<ulong> Numbers(RangeSet set)
    {
        List<ulong> numbers = [];
        foreach (var (begin, end) in set)
        {
            for (var number = begin; number <= end; number++)
                numbers.Add(number);
        }

        return numbers;
    }
}
