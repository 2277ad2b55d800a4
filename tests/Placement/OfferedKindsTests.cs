using Declarative.Controllers.Placement.Desk;
using Declarative.Controllers.Placement.Matching;
using Declarative.Mesos.Mini.Emulated;
using Declarative.Mesos.Protocol;
using Xunit;

namespace Declarative.Tests.Placement;

/// <summary>Kinds of resources that an offer may hold: which are used, and by whom.</summary>
public class OfferedKindsTests
{
    private static Resource Scalar(string name, double value, Action<Resource>? more = null)
    {
        var resource = new Resource { Name = name, Type = Value.Types.Type.Scalar, Scalar = new() { Value = value } };
        more?.Invoke(resource);
        return resource;
    }

    private static Resource.Types.ReservationInfo For(string role) => new() { Type = Resource.Types.ReservationInfo.Types.Type.Static, Role = role };

    [Fact]
    public void Volumes_shared_and_revocable_resources_are_not_free()
    {
        var offer = new Offer { Id = new() { Value = "o" }, AgentId = new() { Value = "a" }, Hostname = "h", AllocationInfo = new() { Role = "eng" } };
        offer.Resources.Add(new[]
        {
            Scalar("cpus", 2), Scalar("cpus", 1, x => x.Reservations.Add(For("eng"))), Scalar("cpus", 4, x => x.Revocable = new()),
            Scalar("disk", 100), Scalar("disk", 50, x => x.Reservations.Add(For("eng"))),
            Scalar("disk", 30, x =>
            {
                x.Reservations.Add(For("eng"));
                x.Disk = new() { Persistence = new() { Id = "v1" }, Volume = new() { ContainerPath = "v", Mode = Volume.Types.Mode.Rw } };
            }),
            Scalar("disk", 20, x =>
            {
                x.Reservations.Add(For("eng"));
                x.Disk = new() { Persistence = new() { Id = "v2" } };
                x.Shared = new();
            }),
            Scalar("mem", 10, x => x.Shared = new()),
        });
        var held = HeldOffer.Of(offer, "declarative", DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch);
        Assert.Equal(("eng", new Amounts(3000, 0, 150_000), 100_000L), (held.Role, held.Free, held.PlainDisk));
        Assert.Equal(["v1", "v2"], held.OfVolumes.Select(x => x.Disk.Persistence.Id));
    }

    [Fact]
    public void An_agent_with_gpus_is_kept_for_those_that_ask_for_them_while_another_fits() => Cluster.Run(async x =>
    {
        x.AddAgent(new EmulatedAgentOptions { Hostname = "plain", Port = 5060, Cpus = 2 });
        await x.WaitUntil(async () => (await x.Api.List(new(Declarative.Api.Kinds.Kind.Node))).Items.Count == 2 || !await Bell(), "both are known");
        for (var i = 0; i < 3; i++) await x.CreatePod($"web-{i}", ""","resources":{"requests":{"cpu":"900m"}}""");
        var nodes = new List<string>();
        for (var i = 0; i < 3; i++) nodes.Add((await x.WaitRunning($"web-{i}")).Spec.NodeName);
        Assert.Equal(["agent-0", "plain", "plain"], nodes.Order(StringComparer.Ordinal));

        // Agents are known by offers: something must ask for some.
        async Task<bool> Bell()
        {
            if (!await x.Exists("bell")) await x.CreatePod("bell", ""","resources":{"requests":{"cpu":"100"}}""");
            return true;
        }
    }, agent: new() { Hostname = "", More = [Scalar("gpus", 1)] });
}
