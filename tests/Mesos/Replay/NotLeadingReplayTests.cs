using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Declarative.Mesos.Scheduler.ZooKeeper;
using Xunit;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Recording 13: what a real master that does not lead answers, and what it writes into ZooKeeper, leads our client to the one that does.</summary>
public sealed partial class NotLeadingReplayTests
{
    private const string Name = "13-zookeeper";

    [Fact]
    public void The_znode_of_a_real_master_is_its_address()
    {
        var znodes = Znode().Matches(Recording.Text(Name, Encoding.UTF8)).Select(x => ZooKeeperDetector.Address(Encoding.UTF8.GetBytes(x.Value), https: false)?.ToString()).Distinct();
        Assert.Equal(["http://127.0.0.1:5050/", "http://127.0.0.1:5060/"], znodes.Order(StringComparer.Ordinal));
    }

    /// <summary>The recorded bytes, but for the leader's port.</summary>
    [Theory]
    [InlineData("/api/v1/scheduler")]
    [InlineData("/api/v1")]
    public async Task What_it_sends_on_is_followed_to_the_leader(string path)
    {
        var entries = Recording.Read(Name);
        var question = entries.First(entry => entry.Moment == Moment.Request && entry.Port == 5060 && entry.Path == path);
        var recorded = entries.First(entry => entry.Moment == Moment.Response && entry.Connection == question.Connection);
        Assert.Equal(307, recorded.Status);
        await using var leader = await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, 0), port => new MiniMaster(new() { Port = port }, TimeProvider.System, new Random(1)), CancellationToken.None);
        var answer = string.Join("\r\n", recorded.HeadLines).Replace(":5050/", $":{leader.Port}/", StringComparison.Ordinal) + "\r\n\r\n";
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        var asked = Answer(other, answer);
        var options = new HttpMasterOptions { Masters = new MasterList($"http://127.0.0.1:{((IPEndPoint)other.LocalEndpoint).Port}") };
        if (path.EndsWith("scheduler", StringComparison.Ordinal))
        {
            using var client = new HttpMaster(options, TimeProvider.System);
            await foreach (var happened in client.Subscribe(new() { FrameworkInfo = new() { User = "root", Name = "zk", Roles = { "rec" }, Capabilities = { new FrameworkInfo.Types.Capability { Type = FrameworkInfo.Types.Capability.Types.Type.MultiRole } } } }, null, TestContext.Current.CancellationToken))
            {
                Assert.Equal((Event.Types.Type.Subscribed, leader.Port), (happened.Type, happened.Subscribed.MasterInfo.Address.Port));
                break;
            }
        }
        else
        {
            using var client = new HttpOperator(options, TimeProvider.System);
            var said = await client.Ask(new Call { Type = Call.Types.Type.GetMaster }, TestContext.Current.CancellationToken);
            Assert.Equal(leader.Port, said.GetMaster.MasterInfo.Address.Port);
        }
        Assert.StartsWith($"POST {path} HTTP/1.1\r\n", await asked, StringComparison.Ordinal);
    }

    private static async Task<string> Answer(TcpListener other, string answer)
    {
        using var client = await other.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        var (text, buffer) = ("", new byte[64 * 1024]);
        while (!text.Contains("\r\n\r\n", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
            if (read == 0) throw new EndOfStreamException($"the client went after {text.Length} bytes of its request");
            text += Encoding.Latin1.GetString(buffer, 0, read);
        }
        await stream.WriteAsync(Encoding.Latin1.GetBytes(answer), TestContext.Current.CancellationToken);
        return text;
    }

    [GeneratedRegex("""^\{"address":.*\}$""", RegexOptions.Multiline)]
    private static partial Regex Znode();
}
