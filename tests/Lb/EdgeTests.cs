using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Settings by annotations, over real sockets.</summary>
public sealed class EdgeTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task WhoIsNotAllowedIsTurnedAwayInHttpAndTcp()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        await world.Settings("hello", ("allow", "192.0.2.0/24"));
        Assert.Equal("403 127.0.0.1 is not among the clients that are allowed here.", await world.Ask(port));
        await world.Settings("hello", ("allow", "192.0.2.0/24,127.0.0.0/8"));
        Assert.Equal("200 a", await world.Ask(port));
        var tcp = await world.Publish("db", [backend], appProtocol: "tcp");
        Assert.Equal("200 a", await world.Ask(tcp));
        await world.Settings("db", ("allow", "192.0.2.0/24"));
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, tcp, Stop);
        Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1], Stop));
        Assert.Equal((1, 1), (Counts("hello").Refusals, Counts("db").Refusals));

        Declarative.Lb.Routes.ClusterCounts Counts(string name) => world.Lb.Routes.Table.Clusters.Single(x => x.Service.Name == name).Counts;
    }

    [Fact]
    public async Task ABadAnnotationIsToldInTheStatusAndAnEventAndHarmsNobodyElse()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a")];
        var (port, other) = (await world.Publish("hello", backends), await world.Publish("other", backends));
        await world.Settings("hello", ("retries", "lots"), ("slow-start", "1s"));
        var service = await LbWorld.Until(() => world.Service("hello"), x => x.Status.Conditions.Any(y => y.Type == "SettingsValid"), "the condition is written");
        const string Problem = "metadata.annotations[declarative.mesos/lb-retries]: \"lots\", expected a number of 0–5";
        Assert.Equal(("False", "InvalidSetting", Problem), service.Status.Conditions.Where(x => x.Type == "SettingsValid").Select(x => (x.Status, x.Reason, x.Message)).Single());
        await Event(world, "hello", "InvalidSetting", Problem);
        Assert.Equal(("200 a", "200 a"), (await world.Ask(port), await world.Ask(other)));
        await world.Settings("hello", ("retries", "2"));
        await LbWorld.Until(() => world.Service("hello"), x => x.Status.Conditions.Single(y => y.Type == "SettingsValid").IsTrue, "the condition is true");
        // A guard that cannot be read closes its own port alone.
        await world.Settings("hello", ("allow", "everyone"));
        Assert.Equal("503 Nobody is let in: annotation declarative.mesos/lb-allow cannot be read.", await world.Ask(port));
        Assert.Equal("200 a", await world.Ask(other));
    }

    [Fact]
    public async Task AnIngressTellsOfItsAnnotationsByEvent()
    {
        await using var world = await LbWorld.Start();
        await Ingress(world, await world.Publish("hello", [await world.Backend("a")]));
        await world.Settings(Kind.Ingress, "site", ("balance", "random"));
        await Event(world, "site", "InvalidSetting", "metadata.annotations[declarative.mesos/lb-balance]: belongs on a Service");
        Assert.Equal("200 a", await world.Ask(world.Options.HttpPort));
    }

    [Fact]
    public async Task UsersOfASecretAreLetInAndAChangeOfItActsAtOnce()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Settings("hello", ("auth-secret", "alice"), ("auth-realm", "the shop"));
        Assert.StartsWith("503 Nobody is let in: Secret default/alice of type kubernetes.io/basic-auth does not exist", await world.Ask(port), StringComparison.Ordinal);
        await world.Create(Kind.Secret, "alice", Secret("alice", "s3cret"));
        await Eventually.True(() => world.Lb.Routes.Credentials.Has(new("default", "alice")), "the Secret is read");
        using (var asked = await world.Send(port))
        {
            Assert.Equal((HttpStatusCode.Unauthorized, "Basic realm=\"the shop\", charset=\"UTF-8\""), (asked.StatusCode, asked.Headers.WwwAuthenticate.ToString()));
        }
        Assert.StartsWith("401 ", await world.Ask(port, with: User("alice", "guess")), StringComparison.Ordinal);
        Assert.StartsWith("401 ", await world.Ask(port, with: x => x.Headers.TryAddWithoutValidation("Authorization", "Basic !")), StringComparison.Ordinal);
        Assert.Equal("200 a", await world.Ask(port, with: User("alice", "s3cret")));
        await world.Patch(Kind.Secret, "alice", """{"stringData":{"password":"other"} }""");
        await Eventually.Async(async () => await world.Ask(port, with: User("alice", "other")) == "200 a", "the new password is read");
        Assert.StartsWith("401 ", await world.Ask(port, with: User("alice", "s3cret")), StringComparison.Ordinal);

        static Action<HttpRequestMessage> User(string name, string password) =>
            x => x.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{name}:{password}")));
    }

    [Fact]
    public async Task ARateHoldsThroughOtherChanges()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Settings("hello", ("rate-limit", "1/h burst 2"));
        for (var i = 0; i < 3; i++) Assert.Equal("200 a", await world.Ask(port));
        using (var refused = await world.Send(port)) Assert.Equal(((HttpStatusCode)429, "1"), (refused.StatusCode, refused.Headers.RetryAfter!.ToString()));
        await world.Settings("hello", ("slow-start", "1s"));
        Assert.StartsWith("429 ", await world.Ask(port), StringComparison.Ordinal);
        await world.Settings("hello", ("rate-limit", null));
        Assert.Equal("200 a", await world.Ask(port));
    }

    [Fact]
    public async Task ABodyThatIsTooLargeIsRefusedWhetherItsLengthIsToldOrNot()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Settings("hello", ("request-bytes-max", "1Ki"));
        Assert.Equal(HttpStatusCode.OK, await Post(1024, chunked: false));
        Assert.Equal(HttpStatusCode.OK, await Post(1000, chunked: true));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await Post(1025, chunked: false));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, await Post(100_000, chunked: true));

        async Task<HttpStatusCode> Post(int bytes, bool chunked)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, $"http://127.0.0.1:{port}/echo") { Content = new ByteArrayContent(new byte[bytes]) };
            request.Headers.TransferEncodingChunked = chunked;
            using var answer = await world.Http.SendAsync(request, Stop);
            return answer.StatusCode;
        }
    }

    [Fact]
    public async Task PathsAreRewrittenAndPlacesRewrittenBack()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Settings("hello", ("strip-prefix", "/api"));
        var seen = await world.Ask(port, "/api/seen?q=a%2Fb");
        Assert.StartsWith($"200 HTTP/1.1 127.0.0.1:{port} /seen?q=a%2Fb", seen, StringComparison.Ordinal);
        Assert.Contains("X-Forwarded-Prefix: /api", seen, StringComparison.Ordinal);
        Assert.Equal("/api/cart?x=1", await Place("/cart?x=1"));
        Assert.Equal($"http://127.0.0.1:{port}/api/cart", await Place($"http://127.0.0.1:{port}/cart"));
        Assert.Equal("https://elsewhere.example/cart", await Place("https://elsewhere.example/cart"));
        // Without the prefix the path stays as it is, and so does one that only begins like it.
        Assert.Equal("200 a", await world.Ask(port, "/apiary"));
        await world.Settings("hello", ("strip-prefix", "/v1"), ("add-prefix", "/redirect"));
        Assert.Equal("/v1/x", await Place("/redirect/x", "/v1"));

        async Task<string> Place(string to, string path = "/api/redirect")
        {
            using var answer = await world.Send(port, $"{path}?to={Uri.EscapeDataString(to)}");
            return answer.Headers.Location!.OriginalString;
        }
    }

    [Fact]
    public async Task HeadersAreSetAddedAndRemovedOnBothWays()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("hello", [await world.Backend("a")]);
        await world.Settings("hello", ("request-headers", "set X-Tenant shop\nremove X-Debug"), ("response-headers", "set X-Frame-Options DENY\nremove Server"), ("forwarded", "both"));
        using var answer = await world.Send(port, "/seen", x =>
        {
            x.Headers.Add("X-Debug", "1");
            x.Headers.Add("X-Tenant", "forged");
        });
        var seen = await answer.Content.ReadAsStringAsync(Stop);
        Assert.Contains("X-Tenant: shop", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("X-Debug", seen, StringComparison.Ordinal);
        Assert.Contains($"Forwarded: for=127.0.0.1;proto=http;host=\"127.0.0.1:{port}\"", seen, StringComparison.Ordinal);
        Assert.Contains("X-Forwarded-For: 127.0.0.1", seen, StringComparison.Ordinal);
        Assert.Equal("DENY", answer.Headers.GetValues("X-Frame-Options").Single());
        Assert.False(answer.Headers.Contains("Server"));
        await world.Settings("hello", ("forwarded", "none"));
        Assert.DoesNotContain("orwarded", await world.Ask(port, "/seen"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnIngressSendsToHttpsAndTellsClientsToStayThere()
    {
        await using var world = await LbWorld.Start();
        await Ingress(world, await world.Publish("hello", [await world.Backend("a")]));
        await world.Settings(Kind.Ingress, "site", ("redirect-https", "true"), ("hsts", "1d"));
        using (var sent = await world.Send(world.Options.HttpPort, "/a?b=c"))
        {
            Assert.Equal((HttpStatusCode.PermanentRedirect, $"https://127.0.0.1:{world.Options.HttpsPort}/a?b=c"), (sent.StatusCode, sent.Headers.Location!.OriginalString));
        }
        using var tls = new TlsClient(world.Options.HttpsPort);
        using var answer = await tls.Http.GetAsync($"https://127.0.0.1:{world.Options.HttpsPort}/", Stop);
        Assert.Equal((HttpStatusCode.OK, "max-age=86400"), (answer.StatusCode, answer.Headers.GetValues("Strict-Transport-Security").Single()));
        await world.Settings(Kind.Ingress, "site", ("redirect-https", null), ("redirect", "https://new.example{path} 301"));
        using var moved = await world.Send(world.Options.HttpPort, "/a?b=c");
        Assert.Equal((HttpStatusCode.MovedPermanently, "https://new.example/a?b=c"), (moved.StatusCode, moved.Headers.Location!.OriginalString));
    }

    [Fact]
    public async Task ACookieKeepsAClientAtItsEndpointUntilThatGoes()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b"), await world.Backend("c")];
        var port = await world.Publish("hello", backends);
        await world.Settings("hello", ("sticky-cookie", "lb"));
        var (name, cookie) = await First("");
        for (var i = 0; i < 5; i++) Assert.Equal("200 " + name, await world.Ask(port, with: x => x.Headers.Add("Cookie", cookie)));
        await world.Slice("hello", backends.Select(x => new LbWorld.Ep(x.Name, x.Port, Ready: x.Name != name)));
        await world.Routed("hello", 2);
        var (second, next) = await First(cookie);
        Assert.NotEqual(name, second);
        for (var i = 0; i < 5; i++) Assert.Equal("200 " + second, await world.Ask(port, with: x => x.Headers.Add("Cookie", next)));

        async Task<(string, string)> First(string with)
        {
            using var answer = await world.Send(port, with: x => x.Headers.TryAddWithoutValidation("Cookie", with.Length > 0 ? with : "other=1"));
            var set = answer.Headers.GetValues("Set-Cookie").Single();
            Assert.EndsWith("; path=/; samesite=lax; httponly", set, StringComparison.Ordinal);
            return (await answer.Content.ReadAsStringAsync(Stop), set.Split(';')[0]);
        }
    }

    [Fact]
    public async Task AnAnswerThatDoesNotBeginInTimeIs504AndOneThatGoesOnIsNotCut()
    {
        await using var world = await LbWorld.Start();
        var backend = await world.Backend("a");
        var port = await world.Publish("hello", [backend]);
        await world.Settings("hello", ("timeout-header", "300ms"));
        Assert.EndsWith($"of Service default/hello port {port} did not begin to answer within 0.3 s.", await world.Ask(port, "/wait"), StringComparison.Ordinal);
        using var stream = await world.Http.GetAsync($"http://127.0.0.1:{port}/stream", HttpCompletionOption.ResponseHeadersRead, Stop);
        await Task.Delay(600, Stop);
        backend.Release();
        Assert.Equal("data: a\n\n", await stream.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task AnEndpointThatAnswersWithErrorsIsEjected()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b")];
        var port = await world.Publish("hello", backends);
        await world.Slice("hello", [new("a", backends[0].Port), new("b", backends[1].Port), new("dead", LbWorld.FreePort())]);
        await world.Routed("hello", 3);
        await world.Settings("hello", ("outlier-failures", "2"), ("outlier-ejection", "1h"));
        for (var i = 0; i < 30; i++) Assert.StartsWith("200 ", await world.Ask(port), StringComparison.Ordinal);
        var counts = world.Lb.Routes.Table.Clusters.Single().Counts;
        Assert.Equal((2, 1), (counts.Retries, counts.Ejections)); // after its second failure nobody is sent there
    }

    [Fact]
    public async Task HealthChecksTakeAnEndpointOutAndBringItBack()
    {
        await using var world = await LbWorld.Start();
        Backend[] backends = [await world.Backend("a"), await world.Backend("b")];
        var port = await world.Publish("hello", backends);
        await world.Settings("hello", ("health-check", "/health"), ("health-interval", "50ms"), ("health-fall", "2"), ("health-rise", "1"));
        backends[0].Healthy = false;
        await Eventually.True(() => Down("a"), "a is out");
        for (var i = 0; i < 10; i++) Assert.Equal("200 b", await world.Ask(port));
        backends[0].Healthy = true;
        await Eventually.True(() => !Down("a"), "a is back");
        Assert.Contains("200 a", (string[])[await world.Ask(port), await world.Ask(port)]);

        bool Down(string pod) => world.Lb.Routes.Table.Clusters.Single().Destinations.Single(x => x.PodName == pod).Health.IsDown;
    }

    [Fact]
    public async Task TrafficIsSplitByShareHeaderAndCookieOverSeveralHops()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("v1", [await world.Backend("v1")]);
        await world.Publish("v2", [await world.Backend("v2")]);
        await world.Publish("v3", [await world.Backend("v3")]);
        await world.Publish("none", []);
        await world.Settings("v1", ("split", "v2=25%, v3=header:X-Canary:yes, v3=cookie:canary, none=5%"));
        Assert.Equal("200 v3", await world.Ask(port, with: x => x.Headers.Add("X-Canary", "yes")));
        Assert.Equal("200 v3", await world.Ask(port, with: x => x.Headers.Add("Cookie", "canary=1")));
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < 400; i++)
        {
            var answer = await world.Ask(port, with: x => x.Headers.Add("X-Canary", "no"));
            counts[answer] = counts.GetValueOrDefault(answer) + 1;
        }
        Assert.InRange(counts["200 v2"], 60, 145);
        Assert.Equal(400, counts["200 v1"] + counts["200 v2"]);
        await world.Settings("v2", ("split", "v3=100%"));
        await world.Settings("v1", ("split", "v2=100%"));
        Assert.Equal("200 v3", await world.Ask(port));
        await world.Settings("v3", ("split", "v1=100%"));
        Assert.StartsWith("508 The traffic is split more than 4 times", await world.Ask(port), StringComparison.Ordinal);
    }

    private static string Secret(string user, string password) =>
        $$"""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"{{user}}","namespace":"default"},"type":"kubernetes.io/basic-auth","stringData":{"username":"{{user}}","password":"{{password}}"} }""";

    private static Task Ingress(LbWorld world, int port) => world.Create(Kind.Ingress, "site", $$"""
        {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"site","namespace":"default"},
         "spec":{"defaultBackend":{"service":{"name":"hello","port":{"number":{{port}} } } } } }
        """);

    private static Task Event(LbWorld world, string about, string reason, string message) => LbWorld.Until(
        async () => (await world.Api.List(new(Kind.Event, "default"))).Items.Select(x => Declarative.Api.Kinds.Event.Read(x.Json)).ToList(),
        x => x.Any(y => y.InvolvedObject.Name == about && y.Type == "Warning" && y.Reason == reason && y.Message == message), $"{about} has an event: {message}");
}
