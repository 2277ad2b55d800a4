using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Lb.Marathon;
using Declarative.Lb.Settings;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>marathon-lb's labels and endpoints.</summary>
public sealed class MarathonTests
{
    private const string Prefix = "HAPROXY_";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task LabelsOfAServiceMakeItReachableByHostAndPath()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("web")]);
        var other = await world.Publish("api", [await world.Backend("api")]);
        await Label(world, "web", ("0_VHOST", "shop.example"), ("0_REDIRECT_TO_HTTPS", "false"));
        await Label(world, "api", ("0_VHOST", "shop.example,api.example"), ("0_PATH", "-i /API"), ("0_HTTP_BACKEND_PROXYPASS_PATH", "/api"));
        Assert.Equal("200 web", await Ask("shop.example", "/"));
        Assert.StartsWith("200 HTTP/1.1 SHOP.example /seen", await Ask("SHOP.example", "/api/seen"), StringComparison.Ordinal);
        Assert.Equal("200 api", await Ask("shop.example", "/apiary")); // a prefix of text, as HAProxy's path_beg
        Assert.StartsWith("404 No Ingress has a rule", await Ask("api.example", "/other"), StringComparison.Ordinal);
        Assert.Equal($"api.example/API api_{other}\nshop.example/API api_{other}\nshop.example web_{port}\n", await world.Get(world.Options.AdminPort, "/_haproxy_getvhostmap"));
        var apps = (await world.Get(world.Options.AdminPort, "/_haproxy_getappmap")).Split('\n');
        Assert.Contains($"/web web_{port}", apps);
        await Label(world, "web", ("0_REDIRECT_TO_HTTPS", "true"), ("0_USE_HSTS", "true"));
        using (var sent = await world.Send(world.Options.HttpPort, "/x", x => x.Headers.Host = "shop.example")) Assert.Equal((HttpStatusCode.MovedPermanently, "https://shop.example/x"), (sent.StatusCode, sent.Headers.Location!.OriginalString));
        Assert.Equal("200 web", await world.Ask(port)); // the Service's own port is no host of a label
        await Label(world, "web", ("0_VHOST", null));
        Assert.StartsWith("404 ", await Ask("shop.example", "/"), StringComparison.Ordinal);

        Task<string> Ask(string host, string path) => world.Ask(world.Options.HttpPort, path, x => x.Headers.Host = host);
    }

    [Fact]
    public async Task AUserOfALabelIsLetInAndTheRootLeadsElsewhere()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("web")]);
        await Label(world, "web", ("0_AUTH", "shop:alice:$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"), ("0_HTTP_BACKEND_REDIR", "/start"));
        using (var asked = await world.Send(port, "/x")) Assert.Equal((HttpStatusCode.Unauthorized, "Basic realm=\"shop\", charset=\"UTF-8\""), (asked.StatusCode, asked.Headers.WwwAuthenticate.ToString()));
        Assert.StartsWith("401 ", await world.Ask(port, "/x", User("alice", "guess")), StringComparison.Ordinal);
        Assert.StartsWith("401 ", await world.Ask(port, "/x", User("bob", "Hello world!")), StringComparison.Ordinal);
        for (var i = 0; i < 2; i++) Assert.Equal("200 web", await world.Ask(port, "/x", User("alice", "Hello world!")));
        using (var root = await world.Send(port, "/")) Assert.Equal((HttpStatusCode.MovedPermanently, "/start"), (root.StatusCode, root.Headers.Location!.OriginalString));
        await Label(world, "web", ("0_AUTH", "shop:alice:plain"));
        Assert.StartsWith("503 Nobody is let in: label HAPROXY_0_AUTH cannot be read", await world.Ask(port, "/x", User("alice", "plain")), StringComparison.Ordinal);
        var service = await LbWorld.Until(() => world.Service("web"), x => x.Status.Conditions.Any(y => y.Type == "SettingsValid"), "the condition is written");
        Assert.DoesNotContain("plain", service.Status.Conditions.Single(x => x.Type == "SettingsValid").Message, StringComparison.Ordinal);

        static Action<HttpRequestMessage> User(string name, string password) =>
            x => x.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}")));
    }

    /// <summary>The first three are the specification's own.</summary>
    [Theory]
    [InlineData("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5")]
    [InlineData("Hello world!", "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA")]
    [InlineData("Hello world!", "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")]
    [InlineData("ääääääääääääääääääääääääääääääääääääääää", "$6$rounds=1500$xy$wdvjBh29X.i/9ZmzoeP9/8M576N9MiLKWXuDlVWnWRelFl0E15EbwIfvyvp5UKbsLWd9aSPZOnf6lQ67C7d5S/")]
    public void PasswordsAreProvedAsCryptKeepsThem(string password, string crypted)
    {
        Assert.True(ShaCrypt.Matches(Encoding.UTF8.GetBytes(password), crypted));
        Assert.False(ShaCrypt.Matches(Encoding.UTF8.GetBytes(password + "x"), crypted));
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("$1$salt$hash")]
    [InlineData("$5$saltstring$short")]
    [InlineData("$6$rounds=900000000$salt$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")]
    public void OtherFormsOfPasswordsAreNotRead(string crypted) => Assert.False(ShaCrypt.IsReadable(crypted));

    [Fact]
    public void LabelsThatMeanNothingHereAreNamed()
    {
        var problems = System.Collections.Immutable.ImmutableArray.CreateBuilder<string>();
        var service = Service.Read(LbWorld.Bytes("""
            {"metadata":{"name":"web","namespace":"shop","labels":{"HAPROXY_0_VHOSTS":"a.example","HAPROXY_0_BIND_OPTIONS":"ssl","HAPROXY_0_SSL_CERT":"/etc/a.pem","HAPROXY_7_VHOST":"a","HAPROXY_0_BACKEND_HEAD":"x","HAPROXY_0_BALANCE":"uri"} },"spec":{"ports":[{"port":80}]} }
            """));
        MarathonLabels.Read(service, 0, new("shop"), new(), problems);
        Assert.Equal(
        [
            "HAPROXY_0_BACKEND_HEAD does nothing here: there is no configuration of HAProxy to put it into; headers, timeouts and checks are annotations declarative.mesos/lb-…",
            "HAPROXY_0_BIND_OPTIONS does nothing here: there is no configuration of HAProxy here",
            "HAPROXY_0_SSL_CERT does nothing here: name the certificate's Secret in spec.tls of an Ingress",
            "HAPROXY_0_VHOSTS: no such label, the nearest is HAPROXY_0_VHOST",
            "HAPROXY_7_VHOST: the Service has 1 ports, the first is 0",
            "HAPROXY_0_BALANCE: \"uri\", expected roundrobin, static-rr, leastconn, source, random or random(2)",
        ], problems);
    }

    [Fact]
    public async Task OnlyServicesOfTheGroupsOfABalancerAreReadForLabels()
    {
        await using var world = await LbWorld.Start(x => x with { Groups = ["internal"] });
        await world.Publish("web", [await world.Backend("web")]);
        await Label(world, "web", ("0_VHOST", "shop.example"), ("GROUP", "external"));
        Assert.StartsWith("404 ", await world.Ask(world.Options.HttpPort, "/", x => x.Headers.Host = "shop.example"), StringComparison.Ordinal);
        await Label(world, "web", ("0_GROUP", "external,internal"));
        Assert.Equal("200 web", await world.Ask(world.Options.HttpPort, "/", x => x.Headers.Host = "shop.example"));
    }

    [Theory]
    [InlineData(4, 0, 4, null, 0)]
    [InlineData(4, 1, 4, null, 0.25)]
    [InlineData(4, 4, 4, null, 1)]
    [InlineData(4, 4, 4, 1, 0.25)] // hybrid: one instance's worth
    [InlineData(2, 1, 0, null, 0.5)]
    [InlineData(0, 1, 4, null, 1)]
    [InlineData(4, 2, 10, null, 2.0 / 6)] // fewer than wanted: all of them
    public void TheNewColourGetsTrafficByItsReadyInstances(int old, int next, int target, int? most, double share) => Assert.Equal(share, DeploymentMember.ShareOfNew(old, next, target, most), 6);

    [Fact]
    public async Task TwoColoursOfAGroupShareTheTrafficWhicheverIsAsked()
    {
        await using var world = await LbWorld.Start();
        var blue = await world.Publish("web-blue", [await world.Backend("blue")]);
        var green = await world.Publish("web-green", [await world.Backend("green")]);
        await Label(world, "web-blue", ("DEPLOYMENT_GROUP", "web"), ("DEPLOYMENT_COLOUR", "blue"), ("DEPLOYMENT_STARTED_AT", "2026-01-01T00:00:00Z"), ("DEPLOYMENT_TARGET_INSTANCES", "2"));
        Assert.Equal("200 blue", await world.Ask(blue));
        await Label(world, "web-green", ("DEPLOYMENT_GROUP", "web"), ("DEPLOYMENT_COLOUR", "green"), ("DEPLOYMENT_STARTED_AT", "2026-01-02T00:00:00Z"), ("DEPLOYMENT_TARGET_INSTANCES", "2"));
        foreach (var port in (int[])[blue, green])
        {
            var answers = new List<string>();
            for (var i = 0; i < 100; i++) answers.Add(await world.Ask(port));
            Assert.InRange(answers.Count(x => x == "200 green"), 25, 75);
        }
        await world.Slice("web-blue", []);
        await world.Routed("web-blue", 0);
        Assert.Equal("200 green", await world.Ask(blue));
    }

    [Fact]
    public async Task StatisticsHaveTheColumnsOfHaproxy()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("web", [backend]);
        for (var i = 0; i < 3; i++) await world.Get(port);
        await world.Send(port, "/status?code=404");
        var waiting = world.Get(port, "/wait");
        await Eventually.True(() => backend.Inside == 1, "one request waits");
        var lines = (await world.Get(world.Options.AdminPort, "/haproxy?stats;csv")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var columns = lines[0][2..].Split(',');
        Assert.All(lines, x => Assert.Equal(columns.Length, x.Split(',').Length));
        Assert.Equal(("UP", "1", "5"), Row($"127_0_0_1_{backend.Port}"));
        Assert.Equal(("UP", "1", "5"), Row("BACKEND"));
        Assert.Equal(("OPEN", "1", "1"), (Cell("FRONTEND", "status"), Cell("FRONTEND", "smax"), Cell($"127_0_0_1_{backend.Port}", "smax")));
        Assert.Equal(["marathon_h2c_in,FRONTEND", "marathon_http_in,FRONTEND", "marathon_https_in,FRONTEND", "stats,FRONTEND", $"web_{port},FRONTEND", $"web_{port},127_0_0_1_{backend.Port}", $"web_{port},BACKEND"],
            lines.Skip(1).Select(x => string.Join(',', x.Split(',')[..2])));
        Assert.Equal(("3", "1"), (Cell("BACKEND", "hrsp_2xx"), Cell("BACKEND", "hrsp_4xx")));
        Assert.Contains($"<td>web_{port}</td>", await world.Get(world.Options.AdminPort, "/haproxy?stats"), StringComparison.Ordinal);
        backend.Release();
        await waiting;

        (string, string, string) Row(string server) => (Cell(server, "status"), Cell(server, "scur"), Cell(server, "stot"));

        string Cell(string server, string column) => lines.Select(x => x.Split(',')).Single(x => x[0] == $"web_{port}" && x[1] == server)[Array.IndexOf(columns, column)];
    }

    /// <summary>Those that plain requests have come on, those that Kestrel has taken, and those that are passed through.</summary>
    [Theory]
    [InlineData("http", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("http", "GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n")]
    [InlineData("tcp", "GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    public async Task ConnectionsOfClientsAreCountedWhileTheyAreOpen(string protocol, string request)
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a")], protocol);
        var sessions = world.Lb.Routes.Table.Clusters.Single().Sessions;
        for (var round = 1; round <= 2; round++)
        {
            using (Peer one = await Peer.To(port), two = await Peer.To(port))
            {
                foreach (var client in (Peer[])[one, two])
                {
                    await client.Send(request);
                    await client.Until("HTTP/1.1 200 ");
                }
                Assert.Equal((2, 2, 2 * round), (sessions.Read(0).Current, sessions.Read(0).Max, sessions.Read(0).Total));
            }
            await Eventually.True(() => sessions.Read(0).Current == 0, "all have ended");
        }
    }

    [Fact]
    public void TheRateIsThatOfTheLastSecond()
    {
        var sessions = new Declarative.Lb.Routes.SessionCounts();
        for (var i = 0; i < 8; i++) sessions.Begin(5_000 + i * 100);
        Assert.Equal((8, 8), (sessions.Read(5_900).Rate, sessions.Read(5_900).RateMax));
        Assert.Equal(4, sessions.Read(6_500).Rate);
        sessions.Begin(6_500);
        Assert.Equal((5, 8), (sessions.Read(6_500).Rate, sessions.Read(6_500).RateMax));
        Assert.Equal(0, sessions.Read(8_000).Rate);
    }

    [Fact]
    public async Task TopShowsTheBusiestServiceFirst()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("web", [await world.Backend("a")]);
        await world.Publish("idle", []);
        var before = await world.Get(world.Options.AdminPort, "/haproxy?stats;csv");
        for (var i = 0; i < 30; i++) await world.Get(port);
        var lines = Declarative.Cli.Commands.TopCommand.Text(before, await world.Get(world.Options.AdminPort, "/haproxy?stats;csv"), TimeSpan.FromSeconds(2)).Split('\n');
        Assert.Equal(["SERVICE", "READY", "IN-FLIGHT", "PER-SECOND", "TOTAL", "2XX", "4XX", "5XX", "RETRIES", "FAILED", "REFUSED"], Words(lines[0]));
        Assert.Equal([$"web_{port}", "1", "0", "15.0", "30", "30", "0", "0", "0", "0", "0"], Words(lines[1]));

        static string[] Words(string line) => line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
    }

    [Fact]
    public async Task EachRequestIsALineWithoutSecretsAndTooManyAreCounted()
    {
        var file = Path.Combine(Path.GetTempPath(), $"lb-access-{Environment.ProcessId}-{Guid.NewGuid():N}.log");
        try
        {
            var world = await LbWorld.Start(x => x with { AccessLog = file, AccessLogLinesPerSecond = 5 });
            await using (world)
            {
                var port = await world.Publish("web", [await world.Backend("a")]);
                await world.Ask(port, "/status?code=404&token=s3cret", x => x.Headers.Add("Cookie", "session=s3cret"));
                for (var i = 0; i < 50; i++) await world.Ask(port, "/many");
            }
            var lines = (await File.ReadAllLinesAsync(file, Stop)).Select(x => JsonNode.Parse(x)!).ToList();
            var first = lines[0];
            Assert.Equal(("GET", "/status", 404, "default/web", "a", "HTTP/1.1", "127.0.0.1"),
                ((string)first["method"]!, (string)first["path"]!, (int)first["status"]!, (string)first["service"]!, (string)first["pod"]!, (string)first["protocol"]!, (string)first["client"]!));
            Assert.DoesNotContain("s3cret", string.Concat(lines.Select(x => x.ToJsonString())), StringComparison.Ordinal);
            Assert.True(lines.Count < 51, "lines above the rate are left out");
            Assert.Equal(51, lines.Sum(x => (int?)x["leftOut"] ?? 1)); // and every one of them is counted, at the end too
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task AConnectionThatIsPassedThroughIsALineToo()
    {
        var file = Path.Combine(Path.GetTempPath(), $"lb-access-{Environment.ProcessId}-{Guid.NewGuid():N}.log");
        try
        {
            await using (var world = await LbWorld.Start(x => x with { AccessLog = file }))
            {
                var port = await world.Publish("db", [await world.Backend("a")], appProtocol: "tcp");
                Assert.Equal("200 a", await world.Ask(port, "/secret", x => x.Headers.ConnectionClose = true));
                await Eventually.True(() => world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight == 0, "the connection has ended");
            }
            var line = JsonNode.Parse((await File.ReadAllLinesAsync(file, Stop)).Single())!;
            Assert.Equal(("TCP", "default/db", "a", "127.0.0.1"), ((string)line["protocol"]!, (string)line["service"]!, (string)line["pod"]!, (string)line["client"]!));
            Assert.Null(line["path"]);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static async Task Label(LbWorld world, string service, params (string Name, string? Value)[] labels)
    {
        var written = await world.Patch(Kind.Service, service, new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = new JsonObject(labels.Select(x => KeyValuePair.Create(Prefix + x.Name, (JsonNode?)x.Value))) } }.ToJsonString());
        await Eventually.True(() => world.Lb.Routes.Applied >= written.Revision, "the labels are in the table");
    }
}
