using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Mesos.Protocol.SchedulerApi;
using Xunit;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;

namespace Declarative.Tests.Placement;

/// <summary>The pods of a namespace are placed in its Mesos role.</summary>
public class RoleTests
{
    private static Task<Stored> Namespace(Cluster x, string name, string? role) => x.Api.Create(ResourceKey.Of(Kind.Namespace, "", name),
        Encoding.UTF8.GetBytes(role is null ? $$$"""{"metadata":{"name":"{{{name}}}"} }""" : $$$"""{"metadata":{"name":"{{{name}}}","annotations":{"declarative.mesos/role":"{{{role}}}"} } }"""));

    private static Task<Stored> PodIn(Cluster x, string ns, string name) => x.Create(
        $$$"""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"{{{name}}}","namespace":"{{{ns}}}"},"spec":{"containers":[{"name":"web","command":["sleep","1000"]}]} }""");

    private static async Task<Pod> Running(Cluster x, string ns, string name)
    {
        Pod? pod = null;
        await x.WaitUntil(async () => (pod = Pod.Read((await x.Api.Get(ResourceKey.Of(Kind.Pod, ns, name))).Json)).IsReady, $"{ns}/{name} runs");
        return pod!;
    }

    /// <summary>Roles of the offers by which each task was launched.</summary>
    private static Dictionary<string, string> Watch(Cluster x)
    {
        var (offers, tasks) = (new Dictionary<string, string>(StringComparer.Ordinal), new Dictionary<string, string>(StringComparer.Ordinal));
        x.Spy.Drop = happened =>
        {
            foreach (var offer in happened.Offers?.Offers_ ?? []) offers[offer.Id.Value] = offer.AllocationInfo.Role;
            return false;
        };
        x.Spy.Before = call =>
        {
            if (call.Type is not Call.Types.Type.Accept) return;
            var role = call.Accept.OfferIds.Select(y => offers[y.Value]).Distinct().Single();
            foreach (var task in call.Accept.Operations.SelectMany(y => y.Launch?.TaskInfos ?? [])) tasks[task.TaskId.Value] = role;
        };
        return tasks;
    }

    [Fact]
    public void A_namespace_that_names_a_role_is_placed_with_offers_in_that_role() => Cluster.Run(async x =>
    {
        var roles = Watch(x);
        await Namespace(x, "shop", "eng/shop");
        await Namespace(x, "plain", null);
        await PodIn(x, "shop", "a");
        await PodIn(x, "plain", "b");
        await PodIn(x, "default", "c");
        Assert.Equal("eng/shop", roles[(await Running(x, "shop", "a")).Task!.Id]);
        Assert.Equal("declarative", roles[(await Running(x, "plain", "b")).Task!.Id]);
        Assert.Equal("declarative", roles[(await Running(x, "default", "c")).Task!.Id]);
        Assert.Contains("UPDATEFRAMEWORK", x.Spy.Log);
        // Each role is given back when nothing waits in it.
        await x.WaitUntil(() => Task.FromResult(x.Spy.Log.Count(y => y == "SUPPRESS") >= 2), "both roles are suppressed");
    }, agents: 2);

    [Fact]
    public void A_role_may_change_and_the_options_go_before_the_annotation() => Cluster.Run(async x =>
    {
        var roles = Watch(x);
        await Namespace(x, "shop", "one");
        await Namespace(x, "fixed", "one");
        await PodIn(x, "shop", "a");
        Assert.Equal("one", roles[(await Running(x, "shop", "a")).Task!.Id]);
        await x.Api.Patch(ResourceKey.Of(Kind.Namespace, "", "shop"), PatchKind.Merge, """{"metadata":{"annotations":{"declarative.mesos/role":"two"}}}"""u8.ToArray());
        await x.Sleep(1); // kinds are watched apart from each other: a pod may be seen before what was changed before it
        await PodIn(x, "shop", "b");
        Assert.Equal("two", roles[(await Running(x, "shop", "b")).Task!.Id]);
        await PodIn(x, "fixed", "c");
        Assert.Equal("prod", roles[(await Running(x, "fixed", "c")).Task!.Id]);
        // No role at all for Mesos: as if it were not there.
        await Namespace(x, "wrong", "a//b");
        await PodIn(x, "wrong", "d");
        Assert.Equal("declarative", roles[(await Running(x, "wrong", "d")).Task!.Id]);
    }, agents: 2, options: new() { RoleOf = new Dictionary<string, string> { ["fixed"] = "prod" } });

    [Fact]
    public void Roles_are_there_again_after_the_stream_was_lost() => Cluster.Run(async x =>
    {
        await Namespace(x, "shop", "eng");
        await PodIn(x, "shop", "a");
        await Running(x, "shop", "a");
        await x.KillPlacement();
        x.StartPlacement();
        var roles = Watch(x);
        await PodIn(x, "shop", "b");
        Assert.Equal("eng", roles[(await Running(x, "shop", "b")).Task!.Id]);
    });

    [Fact]
    public void A_role_that_the_master_refuses_blocks_its_own_namespace_alone() => Cluster.Run(async x =>
    {
        x.Spy.Refuse = (framework, _) => framework.Roles.Contains("forbidden") ? "not authorized to use the role" : null;
        await Namespace(x, "bad", "forbidden");
        await Namespace(x, "shop", "shop");
        await PodIn(x, "bad", "a");
        await PodIn(x, "shop", "b");
        await PodIn(x, "default", "c");
        await Running(x, "shop", "b");
        await Running(x, "default", "c");
        await Refused(x);
        // All the roles are wished for before the first subscription of the next term.
        await x.KillPlacement();
        x.StartPlacement();
        await PodIn(x, "shop", "d");
        await PodIn(x, "default", "e");
        await Running(x, "shop", "d");
        await Running(x, "default", "e");
        await Refused(x);
        await x.Api.Patch(ResourceKey.Of(Kind.Namespace, "", "bad"), PatchKind.Merge, """{"metadata":{"annotations":{"declarative.mesos/role":"shop"}}}"""u8.ToArray());
        await Running(x, "bad", "a");
    });

    private static Task Refused(Cluster x) => x.WaitUntil(async () =>
        Pod.Read((await x.Api.Get(ResourceKey.Of(Kind.Pod, "bad", "a"))).Json).Status.Conditions.Any(y => y.Type == "PodScheduled" && y.Message.Contains("not authorized", StringComparison.Ordinal)), "the pod says why it waits");
}
