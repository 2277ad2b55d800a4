using System.Text;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using Xunit;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>
/// Our master and agents answer recorded requests as a real Mesos did: same statuses, types, texts, events and shapes. What is different
/// on purpose is in <see cref="Differences"/>, each with its reason, and must occur where it says.
/// </summary>
public sealed class ReplayTests
{
    // Not replayed: 08, 13, 14 and 17 kill processes from outside or stop ZooKeeper (AgentLossTests, CrashTests, HttpSchedulerContract and
    // ZooKeeperTests hold these behaviours), 02 and 04 are about real seconds of real processes (AgentTests, CheckTests), 19 about
    // containers that our agents do not run (AllocatorTests has its constraints), 12 and 15 end in answers
    // that depend on the moment (OperatorTests, FairnessTests), 16 is about bytes below the message (HttpReplayTests), 18 is a master with
    // authentication. DecodingTests read them all.
    public static TheoryData<string> Names() => [.. Recording.Names().Where(name => Replayed.Contains(name.Split('-')[0]))];

    private static readonly string[] Replayed = ["01", "03", "05", "06", "06b", "07", "09", "10", "11"];

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Names))]
    public async Task Answers_as_recorded(string name)
    {
        await using var world = new ReplayWorld();
        await world.Start();
        var entries = Recording.Read(name);
        if (name.StartsWith("06b", StringComparison.Ordinal))
            LeaveReservations(world, entries);
        await using var replayer = new Replayer(world, entries);
        await replayer.Run();
        var known = Differences.All.Where(difference => difference.In(name)).ToList();
        var unexplained = replayer.Reports.Where(report => !known.Exists(difference => difference.Covers(report))).ToList();
        Assert.True(unexplained.Count == 0, string.Join('\n', unexplained));
        var unused = known.Where(difference => !replayer.Reports.Any(difference.Covers)).Select(difference => difference.What);
        Assert.Empty(unused);
    }

    // What the first request takes back was there when that recording began.
    private static void LeaveReservations(ReplayWorld world, List<Entry> entries)
    {
        var call = MesosJson.Read<Call>(Encoding.UTF8.GetBytes(entries.First(entry => entry.Body.Contains("UNRESERVE_RESOURCES", StringComparison.Ordinal)).Body));
        var reserve = new Operation { Type = Operation.Types.Type.Reserve, Reserve = new() { Resources = { call.UnreserveResources.Resources } } };
        Assert.True(world.Master.Operate(desk => desk.Operations.Perform(world.AgentIds[5052], reserve)).IsTaken);
    }
}
