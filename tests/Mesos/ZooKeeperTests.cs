using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Declarative.Dns;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Declarative.Mesos.Scheduler.ZooKeeper;
using Xunit;

namespace Declarative.Tests.Mesos;

/// <summary>Against a ZooKeeper server of Debian's packages, where it is installed.</summary>
public sealed class ZooKeeperTests : IAsyncDisposable
{
    private const string Java = "/usr/bin/java";
    private const string Jars = "/usr/share/java/zookeeper.jar";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("declarative-zk-");
    private readonly int _port = FreePort();
    private readonly List<Process> _processes = [];

    [Fact]
    public async Task The_master_of_the_lowest_number_leads_and_its_successor_is_followed()
    {
        var server = StartServer();
        var client = await Client();
        await client.Do("create /mesos");
        await using var detector = new ZooKeeperDetector(ZooKeeperAddress.Parse($"zk://127.0.0.1:{FreePort()},127.0.0.1:{_port}/mesos"), https: false, TimeProvider.System) { SessionTimeout = TimeSpan.FromSeconds(4) };
        var waiting = detector.Leader(Stop).AsTask();
        await client.Do("create /mesos/log_replicas x");
        await client.Do("create -s /mesos/json.info_ " + Master(5050));
        Assert.Equal(new Uri("http://127.0.0.1:5050"), await waiting);
        await client.Do("create -s /mesos/json.info_ " + Master(5060));
        Assert.Equal(new Uri("http://127.0.0.1:5050"), await detector.Leader(Stop));

        // A framework's stream ends when ZooKeeper says that another master leads, though the old one goes on answering.
        var deposed = detector.Deposed(new("http://127.0.0.1:5050"), Stop);
        await client.Do("delete /mesos/json.info_0000000001");
        await deposed;
        Assert.Equal(new Uri("http://127.0.0.1:5060"), await detector.Leader(Stop));

        // The server dies and comes back: the session is taken up again, and what happens then is heard.
        deposed = detector.Deposed(new("http://127.0.0.1:5060"), Stop);
        client.End();
        server.Kill();
        await server.WaitForExitAsync(Stop);
        Assert.Equal(new Uri("http://127.0.0.1:5060"), await detector.Leader(Stop));
        Assert.False(deposed.IsCompleted);
        StartServer();
        client = await Client();
        await client.Do("delete /mesos/json.info_0000000002");
        await client.Do("create -s /mesos/json.info_ " + Master(5070));
        await deposed;
        Assert.Equal(new Uri("http://127.0.0.1:5070"), await detector.Leader(Stop));
        client.End();
    }

    [Fact]
    public async Task A_framework_subscribes_with_the_master_that_ZooKeeper_names_and_changes_over()
    {
        StartServer();
        var client = await Client();
        await client.Do("create /mesos");
        await using var first = new MasterWorld();
        await using var second = new MasterWorld();
        await using var one = await Declarative.Mesos.Mini.Http.MasterServer.Start(new(IPAddress.Loopback, 0), _ => first.Master, Stop);
        await using var two = await Declarative.Mesos.Mini.Http.MasterServer.Start(new(IPAddress.Loopback, 0), _ => second.Master, Stop);
        await client.Do("create -s /mesos/json.info_ " + Master(one.Port));
        await using var detector = MasterDetector.Of([$"zk://127.0.0.1:{_port}/mesos"], https: false, TimeProvider.System);
        using var master = new HttpMaster(new() { Masters = detector }, TimeProvider.System);
        var seen = new List<string>();
        var lost = "";
        try
        {
            await foreach (var happened in master.Subscribe(new() { FrameworkInfo = new() { User = "u", Name = "n" } }, null, Stop))
            {
                if (happened.Subscribed is not { } subscribed) continue;
                seen.Add(subscribed.FrameworkId.Value);
                await client.Do("create -s /mesos/json.info_ " + Master(two.Port));
                await client.Do("delete /mesos/json.info_0000000000");
            }
        }
        catch (MasterUnavailable unavailable)
        {
            lost = unavailable.Message;
        }
        Assert.Single(seen);
        Assert.Equal($"http://127.0.0.1:{one.Port}/ does not lead any more.", lost);
        Assert.Equal(new Uri($"http://127.0.0.1:{two.Port}"), await detector.Leader(Stop));
        client.End();
    }

    /// <summary>Mesos-DNS' configuration with <c>zk</c> alone: leader, masters that stand by, and another leader.</summary>
    [Fact]
    public async Task Dns_names_the_masters_that_ZooKeeper_names()
    {
        StartServer();
        var client = await Client();
        await client.Do("create /mesos");
        var worlds = new List<MasterWorld>();
        await using var one = await Declarative.Mesos.Mini.Http.MasterServer.Start(new(IPAddress.Loopback, 0), NewMaster, Stop);
        await using var two = await Declarative.Mesos.Mini.Http.MasterServer.Start(new(IPAddress.Loopback, 0), NewMaster, Stop);
        await client.Do("create -s /mesos/json.info_ " + Master(one.Port));
        var file = Path.Combine(_directory.FullName, "config.json");
        await File.WriteAllTextAsync(file, $$"""{"zk": "zk://127.0.0.1:{{_port}}/mesos", "refreshSeconds": 1, "resolvers": [], "zkDetectionTimeout": 30}""", Stop);
        await using var dns = new DnsPart(MesosDnsConfig.Load(file).Options(new DnsOptions()) with { Listen = new(IPAddress.Loopback, 0), Http = null });
        using var stop = new CancellationTokenSource();
        var running = dns.Run(null, TimeProvider.System, new Random(1), stop.Token);
        await dns.Ready.WaitAsync(TimeSpan.FromMinutes(1), Stop);
        await Until("_leader._tcp.mesos SRV", $"0 1 {one.Port} leader.mesos.");
        await Until("master1.mesos A", "");
        await client.Do("create -s /mesos/json.info_ " + Master(two.Port));
        await Until("master1.mesos A", "127.0.0.1");
        await client.Do("delete /mesos/json.info_0000000000");
        await Until("_leader._tcp.mesos SRV", $"0 1 {two.Port} leader.mesos.");
        await Until("master1.mesos A", "");
        await stop.CancelAsync();
        await running;
        client.End();
        foreach (var world in worlds) await world.DisposeAsync();

        Declarative.Mesos.Mini.Master.MiniMaster NewMaster(int port)
        {
            worlds.Add(new MasterWorld(new() { Port = port }));
            return worlds[^1].Master;
        }

        async Task Until(string question, string answer)
        {
            var seen = "";
            for (var tries = 0; tries < 600; tries++)
            {
                // The masters' clocks are ours: they must go on for the masters to tell anything.
                worlds.ForEach(world => world.Time.Advance(TimeSpan.FromSeconds(0.05)));
                seen = (await Dns.ServerTests.Run("dig", $"@127.0.0.1 -p {dns.Address.Port} {question} +short")).Trim();
                if (seen == answer) return;
                await Task.Delay(20, Stop);
            }
            Assert.Fail($"{question} is \"{seen}\", not \"{answer}\"");
        }
    }

    [Fact]
    public async Task A_wrong_password_and_an_absent_server_are_told()
    {
        await using var absent = new ZooKeeperDetector(ZooKeeperAddress.Parse($"zk://127.0.0.1:{FreePort()}/mesos"), https: false, TimeProvider.System) { Patience = TimeSpan.FromSeconds(1) };
        var unavailable = await Assert.ThrowsAsync<MasterUnavailable>(async () => await absent.Leader(Stop));
        Assert.Contains("Connection refused", unavailable.Message, StringComparison.Ordinal);

        StartServer();
        var client = await Client();
        await client.Do("addauth digest me:right");
        await client.Do("create /mesos");
        await client.Do("create -s /mesos/json.info_ " + Master(5050));
        await client.Do("setAcl /mesos auth:me:right:cdrwa");
        await using var wrong = new ZooKeeperDetector(ZooKeeperAddress.Parse($"zk://me:wrong@127.0.0.1:{_port}/mesos"), https: false, TimeProvider.System) { Patience = TimeSpan.FromSeconds(5) };
        unavailable = await Assert.ThrowsAsync<MasterUnavailable>(async () => await wrong.Leader(Stop));
        Assert.Contains("not allowed to read it", unavailable.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("wrong", unavailable.Message, StringComparison.Ordinal);
        await using var right = new ZooKeeperDetector(ZooKeeperAddress.Parse($"zk://me:right@127.0.0.1:{_port}/mesos"), https: false, TimeProvider.System);
        Assert.Equal(new Uri("http://127.0.0.1:5050"), await right.Leader(Stop));
        client.End();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            if (!process.HasExited) process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            process.Dispose();
        }
        _directory.Delete(recursive: true);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static string Master(int port) => $$"""{"address":{"hostname":"localhost","ip":"127.0.0.1","port":{{port}}},"id":"m{{port}}","ip":16777343,"port":{{port}}}""";

    private Process StartServer()
    {
        Assert.SkipUnless(File.Exists(Java) && File.Exists(Jars), "ZooKeeper is not installed (Debian: zookeeper)");
        var config = Path.Combine(_directory.FullName, "zoo.cfg");
        File.WriteAllText(config, $"tickTime=500\ndataDir={_directory.FullName}/data\nclientPort={_port}\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n");
        var server = Start("org.apache.zookeeper.server.quorum.QuorumPeerMain", config);
        server.BeginErrorReadLine();
        return server;
    }

    private async Task<Shell> Client()
    {
        for (var tries = 0; ; tries++)
        {
            using var socket = new TcpClient();
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, _port, Stop);
                break;
            }
            catch (SocketException) when (tries < 300)
            {
                await Task.Delay(100, Stop);
            }
        }
        return new(Start("org.apache.zookeeper.ZooKeeperMain", "-waitforconnection", "-server", $"127.0.0.1:{_port}"), Stop);
    }

    private Process Start(string main, params string[] arguments)
    {
        var start = new ProcessStartInfo(Java) { UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = _directory.FullName };
        foreach (var argument in (string[])["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", $"/etc/zookeeper/conf:{Jars}", main, .. arguments]) start.ArgumentList.Add(argument);
        var process = Process.Start(start)!;
        process.BeginOutputReadLine();
        _processes.Add(process);
        return process;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>ZooKeeper's own shell, one command after the other.</summary>
    private sealed class Shell(Process process, CancellationToken stop)
    {
        private int _count;

        /// <summary>Returns when the command is done: the shell answers them in order.</summary>
        public async Task Do(string command)
        {
            for (var tries = 0; ; tries++)
            {
                var said = await Said(command);
                if (!said.Contains("ConnectionLoss", StringComparison.Ordinal) && !said.Contains("SessionExpired", StringComparison.Ordinal)) return;
                Assert.True(tries < 20, $"{command}: {said}"); // a server that has just come up takes no questions yet
            }
        }

        private async Task<string> Said(string command)
        {
            var mark = $"/mark{(++_count).ToString(CultureInfo.InvariantCulture)}";
            await process.StandardInput.WriteLineAsync(command.AsMemory(), stop);
            await process.StandardInput.WriteLineAsync($"ls {mark}".AsMemory(), stop);
            await process.StandardInput.FlushAsync(stop);
            var said = "";
            while (await process.StandardError.ReadLineAsync(stop) is { } line)
            {
                // Whether that node is missing or the connection: the shell has come to the mark.
                if (line.Contains(mark, StringComparison.Ordinal)) return said + (line.Contains("ConnectionLoss", StringComparison.Ordinal) ? line : "");
                said += line + "\n";
            }
            throw new IOException($"ZooKeeper's shell has ended: {said}");
        }

        public void End() => process.Kill();
    }
}
