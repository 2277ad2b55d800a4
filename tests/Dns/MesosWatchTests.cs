using System.Net;
using System.Text;
using Declarative.Dns;
using Declarative.Dns.Wire;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Protocol;
using Declarative.Tests.Mesos;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>Names of other frameworks' tasks, from a master's event stream and, where that is refused, from its state.</summary>
public sealed class MesosWatchTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Tasks_of_others_are_named_as_the_event_stream_tells()
    {
        await using var world = new MasterWorld();
        await using var server = await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, 0), _ => world.Master, CancellationToken.None);
        await using var framework = world.Framework();
        await framework.Subscribe();
        var offer = await framework.Offer();
        await using var dns = await Following($"http://127.0.0.1:{server.Port}");
        await Until(world, dns, "leader.mesos", RecordType.A, 1);
        await Until(world, dns, "slave.mesos", RecordType.A, 1);
        var task = TestFramework.TaskOf("prod_web.1", offer);
        task.Name = "web";
        task.Discovery = new DiscoveryInfo { Visibility = DiscoveryInfo.Types.Visibility.Framework, Name = "web.prod", Ports = new() { Ports_ = { new Port { Number = 8080, Name = "http", Protocol = "tcp" } } } };
        await framework.Accept([offer], 0, task);
        await framework.Update("prod_web.1", TaskState.TaskRunning);
        await Until(world, dns, "web-prod.test.mesos", RecordType.A, 1);
        Assert.Equal(8080, (await dns.Ask("_http._web.prod._tcp.test.mesos", RecordType.Srv))!.Answers.Single().Port);
        using (var http = new HttpClient())
        {
            Assert.Contains("\"name\":\"web.prod\",\"id\":\"prod_web.1\"", await http.GetStringAsync(dns.Part.HttpAddress + "/v1/enumerate", Stop), StringComparison.Ordinal);
            Assert.Contains("declarative_dns_mesos_stale 0", await http.GetStringAsync(dns.Part.HttpAddress + "/metrics", Stop), StringComparison.Ordinal);
        }
        await framework.Kill("prod_web.1");
        await Until(world, dns, "web-prod.test.mesos", RecordType.A, 0);
        Assert.Equal(ResponseCode.NxDomain, (await dns.Ask("web-prod.test.mesos", RecordType.A))!.Code);
    }

    /// <summary>Mesos-DNS' configuration, unchanged, before a master that gives only its state: the installation is replaced in place.</summary>
    [Fact]
    public async Task A_mesos_dns_configuration_is_served_in_its_place()
    {
        using var master = new StateOnlyMaster();
        var folder = Directory.CreateTempSubdirectory();
        var file = Path.Combine(folder.FullName, "config.json");
        await File.WriteAllTextAsync(file, $$"""
            {"Masters": ["127.0.0.1:{{master.Port}}"], "refreshSeconds": 1, "ttl": 7, "domain": "mesos", "port": 53, "resolvers": [], "timeout": 5,
             "listener": "127.0.0.1", "SOAMname": "ns1.mesos", "SOARname": "root.ns1.mesos", "enforceRFC952": true, "IPSources": ["docker", "mesos", "host"],
             "mesosAuthentication": "basic", "mesosCredentials": {"principal": "dns", "secret": "hush"} }
            """, Stop);
        var options = MesosDnsConfig.Load(file).Options(new DnsOptions());
        Assert.Equal(53, options.Listen.Port);
        await using var part = new DnsPart(options with { Listen = new(IPAddress.Loopback, 0), Http = new(IPAddress.Loopback, 0) });
        using var stop = new CancellationTokenSource();
        var running = part.Run(null, TimeProvider.System, new Random(1), stop.Token);
        await part.Ready.WaitAsync(TimeSpan.FromSeconds(60), Stop);
        Assert.Equal("10.3.0.3", (await Dig(part, "nginx.marathon.mesos A +short")).Trim());
        Assert.Contains("_leader._tcp.mesos. 7 IN SRV 0 1 5050 leader.mesos.", System.Text.RegularExpressions.Regex.Replace(await Dig(part, "_leader._tcp.mesos SRV"), "[\t ]+", " "), StringComparison.Ordinal);
        using var http = new HttpClient();
        Assert.Equal("""[{"host":"nginx.marathon.mesos.","ip":"10.3.0.3"}]""", await http.GetStringAsync(part.HttpAddress + "/v1/hosts/nginx.marathon.mesos", Stop));
        var shown = await http.GetStringAsync(part.HttpAddress + "/v1/config", Stop);
        Assert.Contains("\"refreshSeconds\":1", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", shown, StringComparison.Ordinal);
        Assert.Equal("Basic " + Convert.ToBase64String("dns:hush"u8), master.Authorization);
        master.State = master.State.Replace("10.3.0.3", "10.3.0.9", StringComparison.Ordinal);
        await Until(async () => (await Dig(part, "nginx.marathon.mesos A +short")).Trim() == "10.3.0.9", "the new address");
        await stop.CancelAsync();
        await running;
        folder.Delete(recursive: true);
    }

    /// <summary><c>dnson: false</c>: the HTTP API alone; ZooKeeper's password is not shown.</summary>
    [Fact]
    public async Task A_configuration_without_dns_serves_http_alone()
    {
        var folder = Directory.CreateTempSubdirectory();
        var file = Path.Combine(folder.FullName, "config.json");
        await File.WriteAllTextAsync(file, """{"zk": "zk://me:hush@127.0.0.1:1/mesos", "dnson": false, "resolvers": []}""", Stop);
        await using var part = new DnsPart(MesosDnsConfig.Load(file).Options(new DnsOptions()) with { Listen = new(IPAddress.Loopback, 1), Http = new(IPAddress.Loopback, 0) });
        await part.Open();
        using var http = new HttpClient();
        Assert.Equal("""{"zk":"zk://127.0.0.1:1/mesos","dnson":false,"resolvers":[]}""", await http.GetStringAsync(part.HttpAddress + "/v1/config", Stop));
        using var client = new System.Net.Sockets.TcpClient();
        await Assert.ThrowsAsync<System.Net.Sockets.SocketException>(() => client.ConnectAsync(IPAddress.Loopback, 1, Stop).AsTask());
        folder.Delete(recursive: true);
    }

    [Fact]
    public async Task Stale_state_is_kept_or_refused_as_wanted()
    {
        foreach (var policy in new[] { StalePolicy.Keep, StalePolicy.ServFail })
        {
            using var master = new StateOnlyMaster();
            await using var dns = await Following($"http://127.0.0.1:{master.Port}", new DnsOptions { StaleAfter = TimeSpan.FromSeconds(2), Stale = policy });
            await Until(async () => (await dns.Ask("nginx.marathon.mesos", RecordType.A))!.Answers.Count == 1, "the fixture");
            master.Dispose();
            using var http = new HttpClient();
            await Until(async () => (await http.GetStringAsync(dns.Part.HttpAddress + "/metrics", Stop)).Contains("declarative_dns_mesos_stale 1", StringComparison.Ordinal), "stale");
            await Until(async () => (await dns.Ask("nginx.marathon.mesos", RecordType.A))!.Code == (policy == StalePolicy.Keep ? ResponseCode.NoError : ResponseCode.ServFail), "the policy's answer");
            Assert.Equal(ResponseCode.NoError, (await dns.Ask("dns-version.cluster.local", RecordType.Txt))!.Code);
        }
    }

    /// <summary>While no master has told its state nobody knows what does not exist.</summary>
    [Fact]
    public async Task What_is_not_known_yet_is_not_denied()
    {
        await using var dns = await Following("http://127.0.0.1:1");
        Assert.Equal(ResponseCode.ServFail, (await dns.Ask("web.marathon.mesos", RecordType.A))!.Code);
        Assert.Equal(ResponseCode.NxDomain, (await dns.Ask("web.default.svc.cluster.local", RecordType.A))!.Code);
    }

    [Theory]
    [InlineData("""{"masters": ["a:1"], "ttl": -1}""", "ttl: found -1, expected a whole number")]
    [InlineData("""{"masters": []}""", "masters: found [], expected at least one host:port, or zk")]
    [InlineData("""{"zk": "zk://a:2181"}""", "zk: \"zk://a:2181\": the path is missing")]
    [InlineData("""{"masters": ["a:1"], "resolvers": ["dns.example"]}""", "resolvers[0]: found dns.example, expected an IP address")]
    [InlineData("""{"masters": ["a:1"], "domain": "a.mesos", "zoneResolvers": {"mesos": ["1.2.3.4"]}}""", "zoneResolvers.mesos")]
    [InlineData("""{"masters": ["a:1"], "domain": "a..b"}""", "domain: found a..b")]
    [InlineData("""{"masters": ["a:1"], "IPSources": ["netinfo", "netinfo"]}""", "IPSources: found a source twice")]
    [InlineData("""{"masters": ["a:1"], "IPSources": ["dns"]}""", "IPSources: found dns, expected netinfo, mesos, docker or host")]
    [InlineData("""{"masters": ["a:1"], "mesosAuthentication": "iam"}""", "IAMConfigFile: found nothing, expected the file of a service account")]
    [InlineData("""{"masters": ["a:1"], "mesosAuthentication": "iam", "IAMConfigFile": "/does/not/exist"}""", "IAMConfigFile: ")]
    [InlineData("""{"masters": ["a:1"], "mesosAuthentication": "kerberos"}""", "mesosAuthentication: found kerberos, expected \"basic\", \"iam\" or")]
    [InlineData("""{"masters": ["nowhere"]}""", "masters[0]: found nowhere, expected host:port")]
    [InlineData("""{"masters": ["a:1"], "port": 0}""", "port: found 0")]
    [InlineData("""{"masters": ["a:1"], "dnson": false, "httpon": false}""", "dnson: found false, expected true, as httpon is false")]
    [InlineData("[]", "expected a JSON object")]
    [InlineData("{", "config.json")]
    public async Task Configurations_that_cannot_be_are_refused_by_key(string json, string reason)
    {
        var folder = Directory.CreateTempSubdirectory();
        var file = Path.Combine(folder.FullName, "config.json");
        await File.WriteAllTextAsync(file, json, Stop);
        Assert.Contains(reason, Assert.Throws<FormatException>(() => MesosDnsConfig.Load(file).Options(new DnsOptions())).Message, StringComparison.Ordinal);
        folder.Delete(recursive: true);
    }

    private static Task<RunningDns> Following(string master, DnsOptions? options = null) =>
        RunningDns.Start((options ?? new DnsOptions()) with { Mesos = new MesosOptions { Masters = [master], Refresh = TimeSpan.FromSeconds(1) } });

    private static Task<string> Dig(DnsPart part, string question) => ServerTests.Run("dig", $"@127.0.0.1 -p {part.Address.Port} {question}");

    /// <summary>The master's clock is the world's: it must go on for the master to tell anything.</summary>
    private static Task Until(MasterWorld world, RunningDns dns, string name, RecordType type, int answers) =>
        Until(async () =>
        {
            world.Time.Advance(TimeSpan.FromSeconds(0.05));
            return (await dns.Ask(name, type))?.Answers.Count == answers;
        }, $"{answers} records at {name}");

    private static async Task Until(Func<Task<bool>> condition, string what)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            Assert.False(limit.IsCancellationRequested, $"it never came to this: {what}");
            await Task.Delay(5, Stop);
        }
    }

    /// <summary>A master of old, or one that lets nobody have its event stream.</summary>
    private sealed class StateOnlyMaster : IDisposable
    {
        private HttpListener _listener = new();
        private readonly Task _serving;

        public StateOnlyMaster()
        {
            for (Port = 20000 + System.Environment.ProcessId % 20000; ; Port++)
            {
                _listener.Prefixes.Clear();
                _listener.Prefixes.Add($"http://127.0.0.1:{Port}/");
                try
                {
                    _listener.Start();
                    break;
                }
                catch (HttpListenerException)
                {
                    _listener = new HttpListener();
                }
            }
            _serving = Serve();
        }

        public int Port { get; }
        public string? Authorization { get; private set; }
        public string State { get; set; } = File.ReadAllText(Path.Combine(GoldenTests.Folder(), "..", "..", "Dns", "Fixtures", "state.json"));

        public void Dispose()
        {
            _listener.Close();
            _serving.Wait(TimeSpan.FromSeconds(60));
        }

        private async Task Serve()
        {
            while (_listener.IsListening)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
                {
                    return; // closed
                }
                Authorization = context.Request.Headers["Authorization"];
                context.Response.StatusCode = context.Request.Url!.AbsolutePath == "/master/state" ? 200 : 403;
                if (context.Response.StatusCode == 200)
                    await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(State));
                context.Response.Close();
            }
        }
    }
}
