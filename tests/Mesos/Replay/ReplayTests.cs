using System.Text;
using System.Text.RegularExpressions;
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
public sealed partial class ReplayTests
{
    // Every message of every recording is read by DecodingTests too: that is the client's side.
    public static TheoryData<string> Names() => [.. Recording.Names()];

    private static MasterOptions OptionsOf(string name) =>
        name.Split('-')[0] switch
        {
            "08" => new() { Cluster = "rec", AgentPingTimeout = TimeSpan.FromSeconds(3), MaxAgentPingTimeouts = 3 },
            "18" => new() { Cluster = "rec", Credentials = new Dictionary<string, string>(StringComparer.Ordinal) { ["alice"] = "pw", ["bob"] = "pw2" } },
            _ => new() { Cluster = "rec" },
        };

    // Recordings of figures: no call but the first is in them, nor the one that ends the stream.
    private static readonly string[] Figures =
    [
        "20-performance-run1", "20-performance-run2", "20b-master-micro", "20c-performance-pods", "21-many-agents-200", "21b-many-agents-200-launch",
    ];

    [Fact]
    public void Every_recording_is_replayed()
    {
        Assert.Equal(27, Names().Count);
        Assert.Empty(Figures.Except(Recording.Names()));
    }

    // What is answered elsewhere: the requests of 16 that were sent as bytes by RawReplayTests; in 13 those that a master that does not lead sent on, by
    // NotLeadingReplayTests, for the embedded master always leads.
    private static IEnumerable<Entry> Asked(string name, List<Entry> entries)
    {
        var others = entries.Where(entry => entry.Moment == Moment.Request && IsElsewhere(entry)).Select(entry => entry.Connection).ToHashSet();
        return entries.Where(entry => !others.Contains(entry.Connection) && !(Figures.Contains(name) && entry.Moment == Moment.StreamEnded));

        bool IsElsewhere(Entry entry) => name.Split('-')[0] switch
        {
            "13" => entry.Port == 5060 && entry.At < Deeds.NewLeaderAt,
            // The others are of a connection that was not recorded.
            "16" => entry.Connection < 30,
            _ => false,
        };
    }

    [Theory(Timeout = 300_000)]
    [MemberData(nameof(Names))]
    public async Task Answers_as_recorded(string name)
    {
        await using var world = new ReplayWorld(OptionsOf(name));
        await world.Start();
        // Ports of tasks are others here: those of the recordings are those of other tests.
        List<Entry> entries = [.. Asked(name, Recording.Read(name)).Select(entry => entry with { Text = TaskPort().Replace(entry.Text, "2$1") })];
        if (name.StartsWith("06b", StringComparison.Ordinal))
            LeaveReservations(world, entries);
        if (name.StartsWith("12", StringComparison.Ordinal))
            LeaveWeights(world);
        var known = Differences.In(name);
        await using var replayer = new Replayer(world, name, entries, report => known.Any(difference => difference.Always && difference.Covers(report)));
        await replayer.Run();
        var unexplained = replayer.Reports.Where(report => !known.Any(difference => difference.Covers(report))).ToList();
        Assert.True(unexplained.Count == 0, string.Join('\n', unexplained));
        var unused = known.Where(difference => difference.Always && !replayer.Reports.Any(difference.Covers)).Select(difference => difference.What);
        Assert.Empty(unused);
    }

    // Set by an operator in an earlier recording.
    private static void LeaveWeights(ReplayWorld world)
    {
        Assert.True(world.Master.Operate(desk => desk.UpdateWeights([new() { Role = "rec", Weight = 2 }])).IsTaken);
        Assert.True(world.Master.Operate(desk => desk.UpdateQuota([new() { Role = "rec" }], force: false)).IsTaken);
    }

    [GeneratedRegex(@"\b3([12][0-9]{3})\b")]
    private static partial Regex TaskPort();

    // What the first request takes back was there when that recording began.
    private static void LeaveReservations(ReplayWorld world, List<Entry> entries)
    {
        var call = MesosJson.Read<Call>(Encoding.UTF8.GetBytes(entries.First(entry => entry.Body.Contains("UNRESERVE_RESOURCES", StringComparison.Ordinal)).Body));
        var reserve = new Operation { Type = Operation.Types.Type.Reserve, Reserve = new() { Resources = { call.UnreserveResources.Resources } } };
        Assert.True(world.Master.Operate(desk => desk.Operations.Perform(world.AgentIds[5052], reserve)).IsTaken);
    }
}
