using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.QuotaApi;
using Declarative.Mesos.Resources;
using Xunit;
using Constraints = Declarative.Mesos.Protocol.SchedulerApi.OfferConstraints;
using Predicate = Declarative.Mesos.Protocol.SchedulerApi.AttributeConstraint.Types.Predicate;
using Value = Declarative.Mesos.Protocol.Value;

namespace Declarative.Tests.Mesos;

/// <summary>The allocator against a naive model, over random clusters: who comes first, and what nobody may ever be offered.</summary>
public sealed class AllocatorTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly string[] RoleNames = ["a", "a/x", "a/y", "b", "b/z/q", "c"];

    [Fact]
    public void Every_offer_goes_to_one_that_has_least_for_its_weight_and_is_entitled_to_all_of_it()
    {
        for (var seed = 0; seed < 300; seed++)
            Play(seed);
    }

    [Fact]
    public void Refusals_end_and_cover_only_what_holds_no_more_than_was_refused()
    {
        var allocator = new OfferAllocator(new Random(1));
        var slot = SlotOf("s", ResourceBag.Of([Scalar("cpus", 4), Scalar("mem", 1000)]));
        var claimant = new Claimant("f") { Active = true, Roles = ["a"] };
        allocator.Add(slot);
        allocator.Add(claimant);
        var offered = Assert.Single(allocator.Allocate(Now)).Resources;
        allocator.Recover(claimant, slot, "a", offered);
        allocator.Refuse(claimant, slot, "a", offered.Clone(), Now.AddSeconds(5));
        Assert.Empty(allocator.Allocate(Now.AddSeconds(4)));
        Assert.Equal(Now.AddSeconds(5), allocator.NextRefusalEnd(Now));
        Assert.Single(allocator.Allocate(Now.AddSeconds(5)));
    }

    [Theory]
    // By what an attribute is, the predicates of Mesos 1.11 hold or not.
    [InlineData("exists", "rack", true)]
    [InlineData("exists", "none", false)]
    [InlineData("not_exists", "none", true)]
    [InlineData("text_equals r1", "rack", true)]
    [InlineData("text_equals r2", "rack", false)]
    [InlineData("text_equals r1", "none", false)]
    [InlineData("text_equals r1", "idx", true)]
    [InlineData("text_not_equals r1", "rack", false)]
    [InlineData("text_not_equals r1", "none", true)]
    [InlineData("text_matches r[0-9]", "rack", true)]
    [InlineData("text_matches r", "rack", false)]
    [InlineData("text_not_matches r[0-9]", "rack", false)]
    [InlineData("text_not_matches r[0-9]", "idx", true)]
    public void Constraints_admit_agents(string predicate, string attribute, bool expected)
    {
        var made = OfferConstraint.Of(Constrained(predicate, attribute), ["a"], out var fault);
        Assert.Null(fault);
        var agent = new AgentInfo { Hostname = "h" };
        agent.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "rack", Type = Value.Types.Type.Text, Text = new() { Value = "r1" } });
        agent.Attributes.Add(new Declarative.Mesos.Protocol.Attribute { Name = "idx", Type = Value.Types.Type.Scalar, Scalar = new() { Value = 1 } });
        Assert.Equal(expected, made["a"].Admits(agent));
    }

    [Fact]
    public void Constraints_that_mean_nothing_are_refused()
    {
        OfferConstraint.Of(Constrained("text_matches (", "rack"), ["a"], out var broken);
        Assert.NotNull(broken);
        OfferConstraint.Of(Constrained("text_matches " + new string('r', 4097), "rack"), ["a"], out var large);
        Assert.Contains("4096", large, StringComparison.Ordinal);
        OfferConstraint.Of(Constrained("exists", "rack"), ["b"], out var stranger);
        Assert.Contains("'a'", stranger, StringComparison.Ordinal);
    }

    private static void Play(int seed)
    {
        var random = new Random(seed);
        var allocator = new OfferAllocator(new Random(seed));
        var weights = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var role in RoleNames.Where(_ => random.Next(3) == 0))
            allocator.Roles.SetWeight(role, weights[role] = random.Next(1, 5));
        long? limit = random.Next(2) == 0 ? random.Next(1, 20) * 1000 : null;
        if (limit is { } most)
            allocator.Quotas.Set(new QuotaConfig { Role = "a", Limits = { ["cpus"] = new Value.Types.Scalar { Value = Milli.ToDouble(most) } } });
        var claimants = Enumerable.Range(0, random.Next(1, 6)).Select(i => new Claimant($"f{i}")
        {
            Active = true,
            Roles = [.. RoleNames.Where(_ => random.Next(2) == 0).DefaultIfEmpty("c")],
            TakesRevocable = random.Next(2) == 0,
        }).ToList();
        claimants.ForEach(allocator.Add);
        var model = new Model(weights);
        var reserved = 0L;
        for (var i = 0; i < 20; i++)
        {
            var total = new ResourceBag();
            total.Add(Scalar("cpus", random.Next(1, 9)));
            total.Add(Scalar("mem", random.Next(1, 9) * 100));
            if (random.Next(3) == 0)
            {
                var own = Scalar("cpus", random.Next(1, 4));
                own.Reservations.Add(new Resource.Types.ReservationInfo { Type = Resource.Types.ReservationInfo.Types.Type.Static, Role = RoleNames[random.Next(RoleNames.Length)] });
                reserved += RoleTree.Top(own.Reservations[0].Role) == "a" ? Milli.Of(own.Scalar.Value) : 0;
                total.Add(own);
            }

            if (random.Next(4) == 0)
            {
                var spare = Scalar("cpus", 1);
                spare.Revocable = new();
                total.Add(spare);
            }

            var slot = SlotOf($"s{i}", total);
            allocator.Add(slot);
            model.Total(total);
            foreach (var (index, allocation) in allocator.Allocate([slot], Now).Index())
            {
                // Where nothing is limited the first one gets all it is entitled to, and it must be one that has least.
                if (limit is null && index == 0)
                    Assert.Contains((allocation.Claimant.Id, allocation.Role), model.Least(claimants));
                foreach (var resource in allocation.Resources.ToProtocol())
                {
                    Assert.All(resource.Reservations, one => Assert.True(allocation.Role == one.Role || allocation.Role.StartsWith(one.Role + "/", StringComparison.Ordinal)));
                    Assert.True(resource.Revocable is null || allocation.Claimant.TakesRevocable);
                }

                model.Take(allocation);
                // Reservations that come later may pass the limit; nothing beyond them is given then.
                var gains = RoleTree.Top(allocation.Role) == "a" && allocation.Resources.UnreservedScalars.Any(part => part is { Name: "cpus", Milli: > 0 });
                if (limit is { } top && gains)
                    Assert.True(model.Unreserved("a", "cpus") + reserved <= top, $"seed {seed}");
            }

            if (random.Next(4) == 0 && model.Any(random) is { } ended)
            {
                allocator.Recover(ended.Claimant, ended.Slot, ended.Role, ended.Resources);
                ended.Slot.Active = false;
                model.Give(ended);
            }
        }
    }

    private static Slot SlotOf(string id, ResourceBag total) => new(id, total, new AgentInfo { Hostname = id });

    private static Resource Scalar(string name, double value) => TestFramework.Scalar(name, value);

    private static Constraints Constrained(string predicate, string attribute)
    {
        var value = predicate.Split(' ', 2) is [_, var given] ? given : "";
        var made = predicate.Split(' ')[0] switch
        {
            "exists" => new Predicate { Exists = new() },
            "not_exists" => new Predicate { NotExists = new() },
            "text_equals" => new Predicate { TextEquals = new() { Value = value } },
            "text_not_equals" => new Predicate { TextNotEquals = new() { Value = value } },
            "text_matches" => new Predicate { TextMatches = new() { Regex = value } },
            _ => new Predicate { TextNotMatches = new() { Regex = value } },
        };
        var constraints = new Constraints();
        var group = new Constraints.Types.RoleConstraints.Types.Group();
        group.AttributeConstraints.Add(new Declarative.Mesos.Protocol.SchedulerApi.AttributeConstraint { Selector = new() { AttributeName = attribute }, Predicate = made });
        constraints.RoleConstraints["a"] = new() { Groups = { group } };
        return constraints;
    }

    /// <summary>Recomputes all shares from the list of what everybody has, level by level.</summary>
    private sealed class Model(Dictionary<string, double> weights)
    {
        private readonly List<Allocation> held = [];
        private readonly Dictionary<string, long> total = new(StringComparer.Ordinal);

        public void Total(ResourceBag bag)
        {
            foreach (var (name, milli) in bag.Scalars)
                total[name] = total.GetValueOrDefault(name) + milli;
        }

        public void Take(Allocation allocation) => held.Add(allocation with { Resources = allocation.Resources.Clone() });

        public void Give(Allocation allocation) => held.Remove(allocation);

        public Allocation? Any(Random random) => held.Count == 0 ? null : held[random.Next(held.Count)];

        public long Unreserved(string top, string name) =>
            held.Where(one => RoleTree.Top(one.Role) == top).Sum(one => one.Resources.UnreservedScalars.Where(part => part.Name == name).Sum(part => part.Milli));

        /// <summary>All who may be next; several where shares are equal.</summary>
        public HashSet<(string, string)> Least(List<Claimant> claimants)
        {
            var roles = claimants.SelectMany(one => one.Roles).ToHashSet(StringComparer.Ordinal);
            return [.. Below("", roles).SelectMany(role => Smallest(claimants.Where(one => one.Roles.Contains(role)), one => Share(have => have.Claimant == one && have.Role == role)).Select(one => (one.Id, role)))];
        }

        private IEnumerable<string> Below(string parent, HashSet<string> roles)
        {
            var prefix = parent.Length == 0 ? "" : parent + "/";
            var children = roles.Where(role => role.StartsWith(prefix, StringComparison.Ordinal)).Select(role => prefix + role[prefix.Length..].Split('/')[0]).Distinct().Select(child => (Name: child, IsOwn: false)).ToList();
            if (roles.Contains(parent))
                children.Add((parent, true));
            foreach (var (name, isOwn) in Smallest(children, child => Share(have => child.IsOwn ? have.Role == child.Name : have.Role == child.Name || have.Role.StartsWith(child.Name + "/", StringComparison.Ordinal)) / (child.IsOwn ? 1 : weights.GetValueOrDefault(child.Name, 1))))
            {
                if (isOwn)
                {
                    yield return name;
                    continue;
                }

                foreach (var role in Below(name, roles))
                    yield return role;
            }
        }

        private double Share(Func<Allocation, bool> whose) =>
            held.Where(whose).SelectMany(one => one.Resources.Scalars).GroupBy(part => part.Name).Select(part => (double)part.Sum(one => one.Milli) / total[part.Key]).DefaultIfEmpty(0).Max();

        private static List<T> Smallest<T>(IEnumerable<T> of, Func<T, double> by)
        {
            var all = of.Select(one => (One: one, By: by(one))).ToList();
            var least = all.Min(one => one.By);
            return [.. all.Where(one => one.By <= least + 1e-12).Select(one => one.One)];
        }
    }
}
