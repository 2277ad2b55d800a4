using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>The set against a sorted dictionary that is walked from its first entry.</summary>
public sealed class ObjectSetTests
{
    private static readonly Comparer<ObjectName> ByName = Comparer<ObjectName>.Create(static (a, b) =>
    {
        var order = string.CompareOrdinal(a.Namespace, b.Namespace);
        return order != 0 ? order : string.CompareOrdinal(a.Name, b.Name);
    });

    /// <summary>What a change allocates is what it copies: the path to one object, which grows by one node where the set grows by a hundred times.</summary>
    [Fact]
    public void A_change_among_half_a_million_copies_little_more_than_one_among_a_thousand()
    {
        var (few, many) = (Copied(1_000), Copied(500_000));
        Assert.InRange(many, few, 3 * few);

        static long Copied(int count)
        {
            var set = ObjectSet.Of(Enumerable.Range(0, count).Select(i => Item(new("n", $"x{i:D6}"), 1)));
            var changed = Enumerable.Range(0, 100).Select(i => Item(new("n", $"x{i * (count / 100):D6}"), 2)).ToList();
            var before = GC.GetAllocatedBytesForCurrentThread();
            foreach (var item in changed) set = set.With(item);
            var copied = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.Equal(count, set.Count);
            return copied;
        }
    }

    [Fact]
    public void A_set_does_what_a_sorted_dictionary_does()
    {
        var names = from ns in Gen.Choose(0, 2) from name in Gen.Choose(0, 400) select new ObjectName("n" + ns, $"x{name}");
        var step = from name in names from adds in Gen.Frequency((3, Gen.Constant(true)), (2, Gen.Constant(false))) select (Name: name, Adds: adds);
        var first = from count in Gen.Choose(0, 700) from made in names.ArrayOf(count) select made;
        Prop.ForAll((from made in first from steps in step.ArrayOf(300) from asked in names.ArrayOf(5) select (made, steps, asked)).ToArbitrary(), x =>
        {
            var model = new SortedDictionary<ObjectName, Selectable>(ByName);
            foreach (var name in x.made) model[name] = Item(name, 1);
            var set = ObjectSet.Of(model.Values.Reverse());
            Same(model, set, x.asked);
            for (var i = 0; i < x.steps.Length; i++)
            {
                var (name, adds) = x.steps[i];
                var (before, count) = (set, model.Count);
                if (adds) set = set.With(model[name] = Item(name, i + 2));
                else set = Removed(model, name) ? set.Without(name) : Unchanged(set, name);
                Assert.Equal(count, before.Count);
            }
            Same(model, set, x.asked);
            foreach (var name in x.asked.Concat(model.Keys.ToList())) set = Removed(model, name) ? set.Without(name) : Unchanged(set, name);
            Same(model, set, x.asked);
        }).QuickCheckThrowOnFailure();

        static bool Removed(SortedDictionary<ObjectName, Selectable> model, ObjectName name) => model.Remove(name);

        static ObjectSet Unchanged(ObjectSet set, ObjectName name)
        {
            Assert.Same(set, set.Without(name));
            return set;
        }
    }

    [Fact]
    public void What_was_handed_out_stays_as_it_was()
    {
        var set = ObjectSet.Of(Enumerable.Range(0, 1000).Select(x => Item(new("n", $"x{x:D4}"), x)));
        var before = set.Values.ToList();
        var changed = set;
        for (var i = 0; i < 1000; i += 3) changed = changed.Without(new("n", $"x{i:D4}"));
        for (var i = 1; i < 1000; i += 3) changed = changed.With(Item(new("n", $"x{i:D4}"), 5000 + i)).With(Item(new("m", $"y{i}"), i));
        Assert.Equal(before, set.Values);
        Assert.Equal(1000 - 334 + 333, changed.Count);
        Assert.Equal(333, changed.OfNamespace("m").To);
    }

    private static void Same(SortedDictionary<ObjectName, Selectable> model, ObjectSet set, ObjectName[] asked)
    {
        Assert.Equal(model.Count, set.Count);
        Assert.Equal(model.Values, set.Values);
        Assert.Equal(model.Keys, set.Select(x => x.Key));
        foreach (var name in asked)
        {
            Assert.Equal(model.GetValueOrDefault(name), set.Find(name));
            var before = model.Keys.Count(x => ByName.Compare(x, name) < 0);
            Assert.Equal(before, set.Before(name));
            Assert.Equal(model.Keys.Count(x => ByName.Compare(x, name) <= 0), set.Through(name));
            Assert.Equal(model.Values.Skip(before).Take(70), set.Range(before, Math.Min(before + 70, set.Count)));
            var (from, to) = set.OfNamespace(name.Namespace);
            Assert.Equal(model.Where(x => x.Key.Namespace == name.Namespace).Select(x => x.Value), set.Range(from, to));
        }
    }

    private static Selectable Item(ObjectName name, long revision) => new(new Stored(ResourceKey.Of(Kind.ConfigMap, name.Namespace, name.Name), "u", revision, default));
}
