using System.Text;
using Declarative.Mesos.Mini.Master;
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
    // What is not sent again here, and what holds it instead. Every message of every recording is read by DecodingTests: that is the client's side.
    private static readonly IReadOnlyDictionary<string, string> Elsewhere = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["02"] = "open: a fetcher failure is worded otherwise; AgentTests, CheckTests",
        ["11"] = "open: output of an exec session does not always come; AgentServerTests",
        ["12"] = "open: quota and weights that an earlier recording had set; OperatorTests",
        ["14"] = "open: which updates of returned tasks are on their way; HttpSchedulerContract",
        ["17"] = "open: kill -9 of a pod's executor, unknown users; CrashTests, AgentTests",
        ["18"] = "open: figures of /metrics/snapshot; MasterAuthenticationTests",
        ["19"] = "open: images and volumes are refused in other words; AllocatorTests",
        ["13"] = "stops ZooKeeper and masters: ZooKeeperTests, MasterDetectorTests",
        ["16"] = "bytes below the message: HttpReplayTests",
    };

    public static TheoryData<string> Names() => [.. Recording.Names().Where(name => !Elsewhere.ContainsKey(name.Split('-')[0]))];

    private static MasterOptions OptionsOf(string name) =>
        name.Split('-')[0] switch
        {
            "08" => new() { AgentPingTimeout = TimeSpan.FromSeconds(3), MaxAgentPingTimeouts = 3 },
            "12" => new() { Cluster = "rec" },
            "18" => new() { Credentials = new Dictionary<string, string>(StringComparer.Ordinal) { ["alice"] = "pw", ["bob"] = "pw2" } },
            _ => new(),
        };

    [Fact]
    public void Every_recording_is_replayed_or_it_is_said_what_holds_it()
    {
        var numbers = Recording.Names().Select(name => name.Split('-')[0]).ToHashSet(StringComparer.Ordinal);
        Assert.Superset(Elsewhere.Keys.ToHashSet(StringComparer.Ordinal), numbers);
        Assert.Equal(12, Names().Count);
    }

    [Theory(Timeout = 900_000)]
    [MemberData(nameof(Names))]
    public async Task Answers_as_recorded(string name)
    {
        await using var world = new ReplayWorld(OptionsOf(name));
        await world.Start();
        var entries = Recording.Read(name);
        if (name.StartsWith("06b", StringComparison.Ordinal))
            LeaveReservations(world, entries);
        await using var replayer = new Replayer(world, name, entries);
        await replayer.Run();
        TestContext.Current.TestOutputHelper?.WriteLine($"{world.Worked} processes, {world.Talked} requests");
        var known = Differences.All.Where(difference => difference.In(name)).ToList();
        var unexplained = replayer.Reports.Where(report => !known.Exists(difference => difference.Covers(report))).ToList();
        Assert.True(unexplained.Count == 0, string.Join('\n', unexplained));
        var unused = known.Where(difference => difference.Always && !replayer.Reports.Any(difference.Covers)).Select(difference => difference.What);
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
