using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Volumes;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Xunit;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;
using OperationType = Declarative.Mesos.Protocol.Offer.Types.Operation.Types.Type;

namespace Declarative.Tests.Placement;

/// <summary>Claims become persistent volumes of Mesos agents, and pods stay with them.</summary>
public class VolumeTests
{
    private const string Claimed = ""","volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"data"}}]""";
    private const string Mounted = ""","volumeMounts":[{"name":"v","mountPath":"/data"}]""";

    private static Task<Stored> MakeClaim(Cluster x, string size = "100Mi", string more = "", string mode = "ReadWriteOnce") => x.Create(
        $$$"""{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"default"},"spec":{"accessModes":["{{{mode}}}"],"resources":{"requests":{"storage":"{{{size}}}"} }{{{more}}} } }""");

    private static Task<Stored> Pod(Cluster x, string name, string more = "") => x.CreatePod(name, Mounted, Claimed + more);

    private static async Task<PersistentVolumeClaim?> Claim(Cluster x) => await Find(x, ResourceKey.Of(Kind.PersistentVolumeClaim, "default", "data")) is { } found ? PersistentVolumeClaim.Read(found.Json) : null;

    private static async Task<PersistentVolume?> Volume(Cluster x) => (await x.Api.List(new(Kind.PersistentVolume))).Items.Select(y => PersistentVolume.Read(y.Json)).SingleOrDefault();

    private static async Task<Stored?> Find(Cluster x, ResourceKey key)
    {
        try
        {
            return await x.Api.Get(key);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            return null;
        }
    }

    private static List<(string Agent, Resource Volume)> VolumesAt(Cluster x) => [.. x.Agents.SelectMany(y => y.Reserved.Where(z => z.Disk?.Persistence is not null).Select(z => (y.Id!, z)))];

    private static Task Delete(Cluster x, Kind kind, string name) => x.Api.Delete(ResourceKey.Of(kind, kind == Kind.PersistentVolume ? "" : "default", name), new());

    private static Task Grow(Cluster x, string size) => x.Api.Patch(ResourceKey.Of(Kind.PersistentVolumeClaim, "default", "data"), PatchKind.Merge,
        Encoding.UTF8.GetBytes($$$"""{"spec":{"resources":{"requests":{"storage":"{{{size}}}"} } } }"""));

    private static void Run(Func<Cluster, Task> scenario, int agents = 3, EmulatedAgentOptions? agent = null) => Cluster.Run(async x =>
    {
        x.StartVolumes();
        await x.WaitUntil(async () => await Find(x, ResourceKey.Of(Kind.StorageClass, "", MesosVolume.DefaultClass)) is not null, "the standard classes");
        await scenario(x);
    }, agents, agent: agent);

    [Fact]
    public void A_claim_becomes_a_volume_where_its_first_pod_goes_and_later_pods_follow_it() => Run(async x =>
    {
        await MakeClaim(x);
        await x.Sleep(3);
        Assert.Equal("Pending", (await Claim(x))!.Status.Phase);
        Assert.Null(await Volume(x));
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        var (claim, volume) = ((await Claim(x))!, (await Volume(x))!);
        Assert.Equal(("Bound", volume.Name, "mesos", "100Mi"), (claim.Status.Phase, claim.Spec.VolumeName, claim.Spec.StorageClassName, claim.Status.Capacity["storage"].ToString()));
        Assert.Equal((claim.Uid, one.Task!.Agent, "Delete"), (volume.Spec.ClaimRef!.Uid, MesosVolume.AgentOf(volume), volume.Spec.PersistentVolumeReclaimPolicy));
        await x.WaitUntil(async () => (await Volume(x))!.Status.Phase == "Bound", "the volume says that it is bound");
        var (agent, made) = Assert.Single(VolumesAt(x));
        Assert.Equal((one.Task.Agent, 100.0, volume.Name, "declarative"), (agent, made.Scalar.Value, made.Disk.Persistence.Id, made.Reservations[^1].Role));
        Assert.Equal(claim.Uid, made.Reservations[^1].Labels.Labels_.Single(y => y.Key == MesosVolume.ClaimLabel).Value);
        Assert.Single(x.Spy.Log, y => y == "ACCEPT RESERVE,CREATE");
        Assert.Contains("ACKNOWLEDGEOPERATIONSTATUS", x.Spy.Log);

        // Fuller than the others, and it is gone to all the same.
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => !await x.Exists("one"), "the pod is gone");
        for (var i = 0; i < 3; i++) await x.CreatePod($"more-{i}", ""","resources":{"requests":{"cpu":"2"}}""", $$""","nodeName":"{{one.Spec.NodeName}}" """);
        await Pod(x, "two");
        Assert.Equal(one.Spec.NodeName, (await x.WaitRunning("two")).Spec.NodeName);
        Assert.Single(VolumesAt(x));
    });

    [Fact]
    public void The_task_has_the_volume_at_its_path() => Run(async x =>
    {
        TaskInfo? task = null;
        x.Spy.Before = call => task ??= call.Accept?.Operations.SelectMany(y => y.Launch?.TaskInfos ?? []).FirstOrDefault();
        await MakeClaim(x);
        await Pod(x, "one");
        await x.WaitRunning("one");
        var volume = task!.Resources.Single(y => y.Disk is not null);
        Assert.Equal(("data", Declarative.Mesos.Protocol.Volume.Types.Mode.Rw, 100.0), (volume.Disk.Volume.ContainerPath, volume.Disk.Volume.Mode, volume.Scalar.Value));
    });

    [Fact]
    public void A_second_pod_waits_for_the_first_and_says_so() => Run(async x =>
    {
        await MakeClaim(x, mode: "ReadWriteOncePod");
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        await Pod(x, "two");
        var two = await x.WaitPod("two", y => y.Status.Conditions.Any(z => z is { Type: "PodScheduled", Status: "False" }));
        Assert.Contains("does not have the volume of claim data", two.Metadata.Annotations["declarative.mesos/why"], StringComparison.Ordinal);
        Assert.Contains($"{one.Spec.NodeName} has the volume of claim data and does not offer it", two.Metadata.Annotations["declarative.mesos/why"], StringComparison.Ordinal);
        await Delete(x, Kind.Pod, "one");
        await x.WaitRunning("two");
    });

    [Fact]
    public void Pods_that_wait_for_one_volume_have_it_one_after_the_other() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        await Pod(x, "two");
        await Pod(x, "three");
        for (var left = new List<string> { "one", "two", "three" }; left.Count > 0;)
        {
            await x.WaitUntil(async () => await Running(left) == 1, "one of them runs");
            await x.Sleep(5);
            Assert.Equal(1, await Running(left));
            foreach (var name in left.ToList())
            {
                var pod = await x.GetPod(name);
                Assert.NotEqual("Failed", pod.Status.Phase);
                if (!pod.IsReady) continue;
                await Delete(x, Kind.Pod, name);
                left.Remove(name);
            }
        }

        async Task<int> Running(List<string> names)
        {
            var count = 0;
            foreach (var name in names) count += (await x.GetPod(name)).IsReady ? 1 : 0;
            return count;
        }
    });

    [Fact]
    public void A_claim_for_many_is_a_shared_volume_that_pods_use_at_the_same_time() => Run(async x =>
    {
        await MakeClaim(x, mode: "ReadWriteMany");
        await Pod(x, "one");
        await Pod(x, "two");
        var one = await x.WaitRunning("one");
        var two = await x.WaitRunning("two");
        await Pod(x, "three");
        var three = await x.WaitRunning("three");
        Assert.Equal((one.Task!.Agent, one.Task.Agent), (two.Task!.Agent, three.Task!.Agent));
        Assert.Equal(["ReadWriteMany"], (await Claim(x))!.Status.AccessModes);
        var (agent, made) = Assert.Single(VolumesAt(x));
        Assert.Equal((one.Task.Agent, true, 100.0), (agent, made.Shared is not null, made.Scalar.Value));

        // It cannot grow, and goes when the last pod has gone.
        await Grow(x, "250Mi");
        await x.WaitUntil(async () => (await Claim(x))!.Status.Conditions.Any(y => y is { Type: "Resizing", Status: "False" } && y.Message.Contains("Mesos grows no volume that is shared", StringComparison.Ordinal)), "the claim says that it cannot grow");
        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await Delete(x, Kind.Pod, "one");
        await Delete(x, Kind.Pod, "two");
        await x.WaitUntil(async () => !await x.Exists("one") && !await x.Exists("two"), "two of the pods are gone");
        await x.Sleep(5);
        Assert.True(made.Equals(Assert.Single(VolumesAt(x)).Volume), "the third pod has it still");
        await Delete(x, Kind.Pod, "three");
        await x.WaitUntil(async () => await Claim(x) is null && await Volume(x) is null, "claim and volume are gone", seconds: 60);
        Assert.All(x.Agents, y => Assert.Empty(y.Reserved));
    });

    [Fact]
    public void A_pod_restarts_with_its_volume() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        var at = x.Agents.FindIndex(y => y.Id == one.Task!.Agent);
        x.Agents[at].Exit($"{one.Uid}.0", 1);
        Assert.Equal(one.Task!.Agent, (await x.WaitRunning("one", attempt: 1)).Task!.Agent);
    });

    [Fact]
    public void A_claim_that_asks_for_more_is_grown_when_no_pod_has_it() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        await x.WaitRunning("one");
        await Grow(x, "250Mi");
        await x.WaitUntil(async () => (await Claim(x))!.Status.Conditions.Any(y => y.Type == "Resizing"), "the claim says that it is to grow");
        await x.Sleep(5);
        Assert.Equal(100.0, VolumesAt(x).Single().Volume.Scalar.Value);
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => (await Claim(x))!.Status is { Conditions.Count: 0 } status && status.Capacity["storage"].ToString() == "250Mi", "the claim has grown");
        Assert.Equal(250.0, VolumesAt(x).Single().Volume.Scalar.Value);
        Assert.Contains("ACCEPT RESERVE,GROWVOLUME", x.Spy.Log);
        await Pod(x, "two");
        await x.WaitRunning("two");
    });

    [Fact]
    public void A_deleted_claim_waits_for_its_pod_and_leaves_the_agent_as_it_was() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        await x.WaitRunning("one");
        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await x.Sleep(5);
        Assert.True((await Claim(x))!.Metadata.IsDeleting);
        Assert.Single(VolumesAt(x));
        await Pod(x, "late");
        await x.WaitPod("late", y => y.Status.Conditions.Any(z => z.Message.Contains("persistentvolumeclaim \"data\" is being deleted", StringComparison.Ordinal)));
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => await Claim(x) is null && await Volume(x) is null, "claim and volume are gone");
        Assert.All(x.Agents, y => Assert.Empty(y.Reserved));
        await x.WaitPod("late", y => y.Status.Conditions.Any(z => z.Message.Contains("persistentvolumeclaim \"data\" not found", StringComparison.Ordinal)));
    });

    [Fact]
    public void A_retained_volume_stays_until_it_is_given_up() => Run(async x =>
    {
        await MakeClaim(x, more: ""","storageClassName":"mesos-retain" """);
        await Pod(x, "one");
        await x.WaitRunning("one");
        await Delete(x, Kind.Pod, "one");
        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await x.WaitUntil(async () => await Claim(x) is null && (await Volume(x))!.Status.Phase == "Released", "the volume is released");
        await x.Sleep(10);
        Assert.Single(VolumesAt(x));
        var name = (await Volume(x))!.Name;
        await x.Api.Patch(ResourceKey.Of(Kind.PersistentVolume, "", name), PatchKind.Merge, """{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}"""u8.ToArray());
        await x.WaitUntil(async () => await Volume(x) is null, "it is destroyed under its new policy");
        Assert.All(x.Agents, y => Assert.Empty(y.Reserved));
    });

    [Fact]
    public void A_pod_whose_agent_is_away_waits_for_it() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => !await x.Exists("one"), "the pod is gone");
        var at = x.Agents.FindIndex(y => y.Id == one.Task!.Agent);
        x.StopAgent(at);
        await x.Sleep(1);
        await Pod(x, "two");
        var two = await x.WaitPod("two", y => y.Metadata.Annotations.ContainsKey("declarative.mesos/why"));
        Assert.Contains("the agent is away, or another pod uses it", two.Metadata.Annotations["declarative.mesos/why"], StringComparison.Ordinal);
        x.RestartAgent(at);
        Assert.Equal(one.Task!.Agent, (await x.WaitRunning("two")).Task!.Agent);
    });

    [Fact]
    public void A_volume_that_was_asked_for_on_an_agent_that_died_is_made_elsewhere_and_the_remains_go_when_it_is_back() => Run(async x =>
    {
        var asked = Completion.New();
        x.Spy.Before = call =>
        {
            if (call.Accept?.Operations.Any(y => y.Type is OperationType.Create) == true) asked.TrySetResult();
        };
        // The agent has the volume, and nobody hears of it.
        x.Spy.Drop = happened => asked.Task.IsCompleted && (happened.Type is Event.Types.Type.UpdateOperationStatus || happened.Offers?.Offers_.Any(y => y.Resources.Any(z => z.Disk?.Persistence is not null)) == true);
        await MakeClaim(x);
        await Pod(x, "one");
        await x.WaitUntil(() => Task.FromResult(VolumesAt(x).Count > 0), "the first volume is made");
        var first = VolumesAt(x).Single().Agent;
        var at = x.Agents.FindIndex(y => y.Id == first);
        x.StopAgent(at);
        // Of that one: the master says it again and again.
        x.Spy.Drop = happened => happened.UpdateOperationStatus?.Status.AgentId?.Value == first;
        var one = await x.WaitPod("one", y => y.IsReady, seconds: 300);
        Assert.NotEqual(first, one.Task!.Agent);
        Assert.Equal("Bound", (await Claim(x))!.Status.Phase);

        x.Spy.Drop = static _ => false;
        x.RestartAgent(at);
        await x.WaitUntil(() => Task.FromResult(VolumesAt(x).Count == 1), "what the first agent had is destroyed", seconds: 120);
        Assert.Equal(one.Task.Agent, VolumesAt(x).Single().Agent);
        await x.WaitUntil(async () => (await x.Api.List(new(Kind.PersistentVolume))).Items.Count == 1, "and so is its record");
        Assert.True((await x.GetPod("one")).IsReady);
    });

    [Fact]
    public void A_claim_whose_agent_is_gone_for_good_is_lost() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        await x.WaitUntil(async () => (await Volume(x))!.Status.Phase == "Bound", "the volume says that it is bound");
        x.Gone(one.Task!.Agent);
        await x.WaitUntil(async () => (await Claim(x))!.Status.Phase == "Lost", "the claim says that its volume is lost");
        await x.WaitUntil(async () => (await Volume(x))!.Status.Phase == "Failed", "and so does the volume");
        await Pod(x, "two");
        await x.WaitPod("two", y => y.Status.Conditions.Any(z => z.Message.Contains("persistentvolumeclaim \"data\" has lost its volume", StringComparison.Ordinal)));

        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await Delete(x, Kind.Pod, "one");
        await Delete(x, Kind.Pod, "two");
        await x.WaitUntil(async () => await Claim(x) is null && await Volume(x) is null, "claim and volume go, though nobody can destroy anything");
    });

    [Fact]
    public void A_volume_is_found_again_when_its_agent_registers_under_another_id() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        var (former, kept) = VolumesAt(x).Single();
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => !await x.Exists("one"), "the pod is gone");
        x.Gone(former);
        await x.WaitUntil(async () => (await Claim(x))!.Status.Phase == "Lost", "the agent has left the cluster");
        await Pod(x, "two");
        await x.Sleep(5);
        var anew = x.AddAgent(new() { Hostname = one.Spec.NodeName, Port = 5051 + int.Parse(one.Spec.NodeName[^1..], System.Globalization.CultureInfo.InvariantCulture), More = [kept] });
        var two = await x.WaitRunning("two");
        Assert.NotEqual(former, anew.Id);
        Assert.Equal((anew.Id, one.Spec.NodeName), (two.Task!.Agent, two.Spec.NodeName));
        Assert.Equal(anew.Id, MesosVolume.AgentOf((await Volume(x))!));
        Assert.Equal("Bound", (await Claim(x))!.Status.Phase);
        await x.WaitUntil(async () => (await Volume(x))!.Status.Phase == "Bound", "the volume has not failed any more");
    });

    [Fact]
    public void A_claim_is_lost_when_its_machine_registers_anew_without_the_volume() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => !await x.Exists("one"), "the pod is gone");
        var at = x.Agents.FindIndex(y => y.Id == one.Task!.Agent);
        x.StopAgent(at);
        x.Gone(one.Task!.Agent);
        // Its work directory was wiped: another id, and nothing on it.
        var anew = x.AddAgent(new() { Hostname = one.Spec.NodeName, Port = 5051 + at });
        await x.WaitUntil(async () => (await Volume(x))!.Metadata.Annotations.GetValueOrDefault(MesosVolume.MissingOn) == anew.Id, "it is noted that the machine has it no more", seconds: 60);
        await x.WaitUntil(async () => (await Claim(x))!.Status.Phase == "Lost", "the claim says that its volume is lost");
        await x.WaitUntil(async () => (await Volume(x))!.Status is { Phase: "Failed", Message: var why } && why.Contains("its work directory was wiped", StringComparison.Ordinal), "and so does the volume");
        await x.WaitUntil(async () => (await x.Api.List(new(Kind.Event))).Items.Any(y => Encoding.UTF8.GetString(y.Json.Span) is var json && json.Contains("ClaimLost", StringComparison.Ordinal) && json.Contains($"has registered as agent {anew.Id} without", StringComparison.Ordinal)), "an event tells of it");
        await Pod(x, "two");
        await x.WaitPod("two", y => y.Status.Conditions.Any(z => z.Message.Contains("persistentvolumeclaim \"data\" has lost its volume", StringComparison.Ordinal)));

        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await Delete(x, Kind.Pod, "two");
        await x.WaitUntil(async () => await Claim(x) is null && await Volume(x) is null, "claim and volume go, though there is nothing to destroy", seconds: 60);
    });

    [Fact]
    public void A_volume_that_was_taken_for_missing_is_bound_again_when_its_agent_offers_it_after_all() => Run(async x =>
    {
        await MakeClaim(x);
        await Pod(x, "one");
        var one = await x.WaitRunning("one");
        var kept = VolumesAt(x).Single().Volume;
        await Delete(x, Kind.Pod, "one");
        await x.WaitUntil(async () => !await x.Exists("one"), "the pod is gone");
        var at = x.Agents.FindIndex(y => y.Id == one.Task!.Agent);
        x.StopAgent(at);
        x.Gone(one.Task!.Agent);
        // Its machine has it under another id, and is slow to say so.
        var isHidden = true;
        x.Spy.Drop = happened =>
        {
            foreach (var offer in happened.Offers?.Offers_ ?? [])
            {
                foreach (var volume in offer.Resources.Where(y => isHidden && y.Disk?.Persistence is not null).ToList()) offer.Resources.Remove(volume);
            }
            return false;
        };
        var anew = x.AddAgent(new() { Hostname = one.Spec.NodeName, Port = 5051 + at, More = [kept] });
        await x.WaitUntil(async () => (await Volume(x))!.Metadata.Annotations.GetValueOrDefault(MesosVolume.MissingOn) == anew.Id, "it is taken for missing", seconds: 60);
        await x.WaitUntil(async () => (await Claim(x))!.Status.Phase == "Lost", "the claim is lost");
        await x.WaitUntil(async () => (await Volume(x))!.Status is { Phase: "Failed", Message: var why } && why.Contains("was wiped", StringComparison.Ordinal), "and says how");
        await Pod(x, "two");
        await x.Sleep(5);
        Assert.Equal("Lost", (await Claim(x))!.Status.Phase);

        isHidden = false;
        var two = await x.WaitPod("two", y => y.IsReady, seconds: 120);
        Assert.Equal(anew.Id, two.Task!.Agent);
        Assert.Equal("Bound", (await Claim(x))!.Status.Phase);
        await x.WaitUntil(async () => (await Volume(x))!.Status is { Phase: "Bound", Message: "" }, "the volume says that it is bound");
        var noted = (await Volume(x))!.Metadata.Annotations;
        Assert.Equal((anew.Id, false), (noted[MesosVolume.MovedTo], noted.ContainsKey(MesosVolume.MissingOn)));
    });

    [Fact]
    public void How_a_volume_was_lost_is_told_of_the_agent_that_is_there()
    {
        var volume = new PersistentVolume
        {
            Metadata = new() { Name = "v", Annotations = new Dictionary<string, string> { [MesosVolume.MissingOn] = "S2" } },
            Spec = new() { Csi = new() { Driver = MesosVolume.Driver, VolumeAttributes = MesosVolume.Attributes("S1", "a").ToDictionary() } },
        };
        Assert.Contains("was wiped", MesosVolume.LossOf(volume, Node("S2", gone: false)), StringComparison.Ordinal);
        // The mark is of an id that is no more, or of one that is away.
        foreach (var node in (Node?[])[null, Node("S2", gone: true), Node("S3", gone: false), Node("S1", gone: true)])
        {
            Assert.Contains("has left the cluster", MesosVolume.LossOf(volume, node), StringComparison.Ordinal);
        }
    }

    private static Node Node(string agent, bool gone) => new()
    {
        Spec = new() { ProviderID = "mesos://" + agent },
        Status = new() { Conditions = [new() { Type = "Ready", Status = gone ? "False" : "True", Reason = gone ? "AgentGone" : "AgentRegistered" }] },
    };

    [Fact]
    public void A_volume_is_lost_only_where_its_agent_has_left_and_no_other_took_the_node()
    {
        var volume = new PersistentVolume { Spec = new() { Csi = new() { Driver = MesosVolume.Driver, VolumeAttributes = MesosVolume.Attributes("S1", "a").ToDictionary() } } };
        Assert.True(MesosVolume.IsLost(volume, Node("S1", gone: true), Node("S1", gone: true)));
        Assert.False(MesosVolume.IsLost(volume, Node("S1", gone: false), Node("S1", gone: false)));
        Assert.False(MesosVolume.IsLost(volume, null, Node("S2", gone: false)));
        Assert.Null(MesosVolume.IsLost(volume, null, Node("S2", gone: true)));
        var missing = volume with { Metadata = new() { Annotations = new Dictionary<string, string> { [MesosVolume.MissingOn] = "S2" } } };
        Assert.True(MesosVolume.IsLost(missing, null, Node("S2", gone: false)));
        Assert.False(MesosVolume.IsLost(missing, null, Node("S3", gone: false)));
        Assert.Null(MesosVolume.IsLost(volume, null, new Node()));
        Assert.Null(MesosVolume.IsLost(volume, null, null));
    }

    [Theory]
    [InlineData("False", true)]
    [InlineData("True", false)]
    public void A_volume_is_made_elsewhere_where_the_remains_of_the_last_one_are_on_a_node_that_is_away(string ready, bool isUnselected)
    {
        var node = new Node
        {
            Metadata = new() { Name = "a" },
            Spec = new() { ProviderID = "mesos://S1" },
            Status = new() { Conditions = [new() { Type = "Ready", Status = ready }] },
        };
        var leaving = new PersistentVolume { Metadata = new() { Name = "v" }, Spec = new() { Csi = new() { Driver = MesosVolume.Driver, VolumeAttributes = MesosVolume.Attributes("S1", "a").ToDictionary() } } };
        var claim = new PersistentVolumeClaim
        {
            Metadata = new() { Name = "data", Namespace = "default", Uid = "u", Finalizers = [MesosVolume.ClaimProtection], Annotations = new Dictionary<string, string> { [MesosVolume.SelectedNode] = "a" } },
            Spec = new() { StorageClassName = "mesos", AccessModes = ["ReadWriteOnce"] },
        };
        var ofClass = new StorageClass { Metadata = new() { Name = "mesos" }, Provisioner = MesosVolume.Provisioner };
        var plan = ClaimPlan.Compute(new(claim, [ofClass], null, [leaving], node, IsUsed: false, IsLost: null, VolumeNode: null, static _ => false), DateTimeOffset.UnixEpoch);
        Assert.Equal(isUnselected, plan.Changes.Count == 1 && plan.Changes[0].ToString().Contains($"\"{MesosVolume.SelectedNode}\":null", StringComparison.Ordinal));
        Assert.Equal(!isUnselected, plan.Changes.Count == 0 && plan.LookAgainIn is not null);
    }

    [Theory]
    [InlineData("ReadOnlyMany", "access mode ReadOnlyMany is not supported")]
    public void What_a_volume_cannot_do_is_said(string mode, string why) => Run(async x =>
    {
        await MakeClaim(x, mode: mode);
        await Pod(x, "one");
        await x.WaitPod("one", y => y.Status.Conditions.Any(z => z.Message.Contains(why, StringComparison.Ordinal)));
    });

    [Fact]
    public void Nothing_is_reserved_for_the_role_of_all()
    {
        Cluster.Run(async x =>
        {
            x.StartVolumes();
            await MakeClaim(x);
            await Pod(x, "one");
            await x.WaitPod("one", y => y.Status.Conditions.Any(z => z.Message.Contains("Mesos reserves no disk for role *", StringComparison.Ordinal)));
        }, options: new() { Role = "*" });
    }

    /// <summary>The first of the operations is lost on its way, or its answer is, or the status, or Placement dies: each ends as if nothing had been.</summary>
    [Theory]
    [InlineData("call")]
    [InlineData("status")]
    [InlineData("placement")]
    public void What_is_lost_is_made_up_for(string lost) => Run(async x =>
    {
        var told = new List<OperationType>();
        var kill = Completion.New();
        x.Spy.Lose = call => lost == "call" && First(call);
        x.Spy.Drop = happened => lost == "status" && happened.Type is Event.Types.Type.UpdateOperationStatus && told.Remove(OperationType.Create) | told.Remove(OperationType.Destroy);
        x.Spy.Before = call =>
        {
            if (lost != "call") First(call);
            if (lost == "placement" && call.Accept?.Operations.Any(y => y.Type is OperationType.Create) == true) kill.TrySetResult();
        };
        await MakeClaim(x);
        await Pod(x, "one");
        if (lost == "placement")
        {
            await kill.Task;
            await x.KillPlacement();
            await x.Sleep(1);
            x.StartPlacement();
        }
        await x.WaitPod("one", y => y.IsReady, seconds: 90);
        Assert.Single(VolumesAt(x));
        await Delete(x, Kind.Pod, "one");
        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await x.WaitUntil(async () => await Claim(x) is null && await Volume(x) is null, "claim and volume are gone", seconds: 90);
        Assert.All(x.Agents, y => Assert.Empty(y.Reserved));

        bool First(Call call)
        {
            var type = call.Accept?.Operations.FirstOrDefault(y => y.Type is OperationType.Create or OperationType.Destroy)?.Type;
            if (type is not { } first || _seen.Contains(first)) return false;
            _seen.Add(first);
            told.Add(first);
            return true;
        }
    });

    private readonly HashSet<OperationType> _seen = [];

    [Theory]
    [InlineData("agent")]
    [InlineData("uid")]
    public void News_of_another_volume_of_the_name_is_not_taken_for_its_own(string other) => Run(async x =>
    {
        var (lose, told, id) = (true, false, "");
        x.Spy.Lose = call =>
        {
            if (!lose || call.Accept?.Operations.FirstOrDefault(y => y.Type is OperationType.Create) is not { } create) return false;
            id = create.Id.Value;
            return true;
        };
        x.Spy.Also = _ =>
        {
            if (id.Length == 0 || told) return [];
            told = true;
            var parts = id.Split('/');
            if (other == "uid") parts[1] = "another";
            var status = new OperationStatus { OperationId = new() { Value = string.Join('/', parts) }, State = OperationState.OperationFinished };
            if (other == "agent") status.AgentId = new() { Value = "another" };
            return [new Event { Type = Event.Types.Type.UpdateOperationStatus, UpdateOperationStatus = new() { Status = status } }];
        };
        await MakeClaim(x);
        await Pod(x, "one");
        await x.WaitUntil(() => Task.FromResult(told), "the news has come");
        await x.Sleep(2);
        Assert.Equal("Pending", (await Claim(x))!.Status.Phase);
        // What is asked of Mesos stands in the volume before.
        var noted = (await Volume(x))!.Metadata.Annotations;
        Assert.Equal((MesosVolume.Asked, "declarative"), (noted[MesosVolume.State], noted["declarative.mesos/role"]));
        lose = false;
        await x.WaitPod("one", y => y.IsReady, seconds: 90);
        Assert.Single(VolumesAt(x));
    });

    [Fact]
    public void A_reservation_that_stays_after_its_volume_is_taken_back() => Run(async x =>
    {
        x.Spy.Before = call =>
        {
            if (call.Accept is { } accept && accept.Operations.Any(y => y.Type is OperationType.Destroy) && accept.Operations.FirstOrDefault(y => y.Type is OperationType.Unreserve) is { } rest) accept.Operations.Remove(rest);
        };
        await MakeClaim(x);
        await Pod(x, "one");
        await x.WaitRunning("one");
        await Delete(x, Kind.Pod, "one");
        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await x.WaitUntil(async () => await Volume(x) is null, "the volume is gone");
        Assert.All(x.Agents, y => Assert.Empty(y.Reserved));
    });

    [Fact]
    public void A_plain_process_has_no_volume_that_it_may_only_read()
    {
        var pod = Declarative.Api.Kinds.Pod.Read("""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"one","namespace":"default"},"spec":{
              "containers":[{"name":"main","command":["true"],"volumeMounts":[{"name":"v","mountPath":"/data","readOnly":true}]}],
              "volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"data"}}]}}
            """u8.ToArray());
        var fault = Assert.Single(Declarative.Controllers.Placement.Tasks.Mounts.Add(pod, pod.Spec.Containers[0], new Dictionary<string, Resource>(StringComparer.Ordinal), new()));
        Assert.Contains("readOnly of volume v (claim data) is not supported", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_reserved_for_the_role_is_used_before_what_is_not() => Run(async x =>
    {
        var tasks = new List<TaskInfo>();
        var operations = new List<OperationType>();
        x.Spy.Before = call =>
        {
            foreach (var operation in call.Accept?.Operations ?? [])
            {
                operations.Add(operation.Type);
                tasks.AddRange(operation.Launch?.TaskInfos ?? []);
            }
        };
        await MakeClaim(x);
        await x.CreatePod("one", Mounted + ""","ports":[{"containerPort":80}],"resources":{"requests":{"cpu":"3","memory":"64Mi"}}""", Claimed);
        await x.WaitRunning("one");
        var task = Assert.Single(tasks);
        Assert.Equal([(2.0, true), (1.0, false)], task.Resources.Where(y => y.Name == "cpus").Select(y => (y.Scalar.Value, y.Reservations.Count > 0)));
        Assert.Equal([(64.0, false)], task.Resources.Where(y => y.Name == "mem").Select(y => (y.Scalar.Value, y.Reservations.Count > 0)));
        // The volume stands on the disk that the agent keeps for the role: nothing is reserved for it.
        Assert.DoesNotContain(OperationType.Reserve, operations);
        await Delete(x, Kind.Pod, "one");
        await Delete(x, Kind.PersistentVolumeClaim, "data");
        await x.WaitUntil(async () => await Volume(x) is null, "the volume is gone");
        Assert.DoesNotContain(OperationType.Unreserve, operations);
        Assert.Empty(VolumesAt(x));
    }, agents: 1, agent: new() { Hostname = "", More = [Reserved("cpus", 2), Reserved("disk", 500)] });

    private static Resource Reserved(string name, double amount)
    {
        var resource = new Resource { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = amount } };
        resource.Reservations.Add(new Resource.Types.ReservationInfo { Type = Resource.Types.ReservationInfo.Types.Type.Static, Role = "declarative" });
        return resource;
    }
}
