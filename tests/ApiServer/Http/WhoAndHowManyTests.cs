using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.ApiServer.Http;
using Declarative.Tests.ApiServer.CustomResources;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Who a request acts as, how a connection is protected, how many watches there may be, and what a new kind changes in the documents.</summary>
public sealed class WhoAndHowManyTests : IAsyncLifetime
{
    private const byte HandshakeRecord = 22;
    private const byte AlertRecord = 21;
    private const byte ProtocolVersionAlert = 70;
    private RunningFace _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await RunningFace.Start();

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("admin", "Impersonate-User:jane", 200, "jane system:authenticated")]
    [InlineData("admin", "Impersonate-User:jane,Impersonate-Group:devs", 200, "jane devs system:authenticated")]
    [InlineData("admin", "Impersonate-User:system:serviceaccount:shop:robot", 200, "system:serviceaccount:shop:robot system:authenticated system:serviceaccounts system:serviceaccounts:shop")]
    [InlineData("admin", "Impersonate-Group:devs", 400, "requested to impersonate groups without impersonating a user")]
    [InlineData("admin", "Impersonate-Uid:7", 400, "requested to impersonate uid without impersonating a user")]
    [InlineData("admin", "Impersonate-Extra-scopes:view", 400, "requested to impersonate extra without impersonating a user")]
    [InlineData("admin", "Impersonate-User:jane,Impersonate-Uid:7,Impersonate-Extra-example.org%2FScopes:view", 200, "jane system:authenticated 7 {\"example.org/scopes\":[\"view\"]}")]
    [InlineData("admin", "Impersonate-User:system:anonymous", 403, "User \"system:anonymous\" cannot create")]
    [InlineData("admin", "Impersonate-User:system:serviceaccount:shop:robot,Impersonate-Group:devs", 200, "system:serviceaccount:shop:robot devs system:authenticated")]
    [InlineData("dns", "Impersonate-User:jane", 403, "users \"jane\" is forbidden: User \"system:declarative:dns\" cannot impersonate resource \"users\" in API group \"\" at the cluster scope")]
    [InlineData("dns", "Impersonate-User:system:serviceaccount:shop:robot", 403, "cannot impersonate resource \"serviceaccounts\" in API group \"\" in the namespace \"shop\"")]
    [InlineData("dns", "Impersonate-User:system:serviceaccount::robot", 403, "users \"system:serviceaccount::robot\" is forbidden")]
    public async Task A_request_acts_as_another_where_its_user_may(string role, string headers, int code, string expected)
    {
        using var client = _server.Client(role);
        // A review is answered with 201.
        var answer = await Review(client, headers).Json(code == 200 ? 201 : code);
        if (code != 200)
        {
            Assert.Contains(expected, answer.Text("message"), StringComparison.Ordinal);
            return;
        }
        var user = answer.GetProperty("status").GetProperty("userInfo");
        var found = user.GetProperty("groups").EnumerateArray().Select(x => x.GetString()).Order(StringComparer.Ordinal).Prepend(user.GetProperty("username").GetString());
        if (user.TryGetProperty("uid", out var uid)) found = found.Append(uid.GetString()).Append(user.GetProperty("extra").GetRawText());
        Assert.Equal(expected, string.Join(' ', found));
    }

    [Fact]
    public async Task A_narrow_right_to_impersonate_reaches_no_further()
    {
        await _server.Admin.Create(ResourceKey.Of(Kind.ClusterRole, "", "as-jane"), """
            {"metadata":{"name":"as-jane"},"rules":[
             {"apiGroups":[""],"resources":["users"],"verbs":["impersonate"],"resourceNames":["jane"]},
             {"apiGroups":["authentication.k8s.io"],"resources":["userextras/scopes"],"verbs":["impersonate"],"resourceNames":["view"]}]}
            """u8.ToArray(), stop: Stop);
        await _server.Admin.Create(ResourceKey.Of(Kind.ClusterRoleBinding, "", "as-jane"), Encoding.UTF8.GetBytes($$$"""
            {"metadata":{"name":"as-jane"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"as-jane"},
             "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"{{{User.Dns.Name}}}"}]}
            """), stop: Stop);
        using var client = _server.Client("dns");
        await Eventually.Async(async () => await Code("Impersonate-User:jane") == 201, "the role is known");
        Assert.Equal(201, await Code("Impersonate-User:jane,Impersonate-Extra-scopes:view"));
        foreach (var more in (string[])["Impersonate-Extra-scopes:edit", "Impersonate-Extra-team:view", "Impersonate-Uid:7", "Impersonate-Group:devs"])
        {
            Assert.Equal(403, await Code("Impersonate-User:jane," + more));
        }
        Assert.Equal(403, await Code("Impersonate-User:joe"));

        async Task<int> Code(string headers)
        {
            using var answer = await Review(client, headers);
            return (int)answer.StatusCode;
        }
    }

    private static async Task<HttpResponseMessage> Review(HttpClient client, string headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/apis/authentication.k8s.io/v1/selfsubjectreviews") { Content = "{}".Body(), Version = HttpVersion.Version20 };
        foreach (var header in headers.Split(',')) request.Headers.Add(header[..header.IndexOf(':', StringComparison.Ordinal)], header[(header.IndexOf(':', StringComparison.Ordinal) + 1)..]);
        return await client.SendAsync(request, Stop);
    }

    [Theory]
    [InlineData("authorization.k8s.io/v1/selfsubjectaccessreviews", "{}", 422, "exactly one of nonResourceAttributes or resourceAttributes must be specified")]
    [InlineData("authorization.k8s.io/v1/selfsubjectaccessreviews", """{"spec":{"resourceAttributes":{"verb":"get"},"nonResourceAttributes":{"path":"/"}}}""", 422, "cannot be specified in combination")]
    [InlineData("authorization.k8s.io/v1/selfsubjectaccessreviews", """{"kind":"Pod","apiVersion":"v1"}""", 400, "does not match the expected")]
    [InlineData("authorization.k8s.io/v1/selfsubjectaccessreviews?fieldValidation=Strict", """{"spec":{"resourceAttributes":{"verbs":"get"}}}""", 400, "unknown field \"spec.resourceAttributes.verbs\"")]
    [InlineData("authorization.k8s.io/v1/selfsubjectaccessreviews", """{"spec":{"resourceAttributes":{"verb":7}}}""", 400, "spec.resourceAttributes.verb")]
    [InlineData("authentication.k8s.io/v1/tokenreviews", """{"spec":{}}""", 400, "token is required")]
    public async Task A_review_that_asks_nothing_is_refused(string path, string body, int code, string says)
    {
        using var client = _server.Client();
        Assert.Contains(says, (await client.PostAsync("/apis/" + path, body.Body(), Stop).Json(code)).Text("message"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x0301, AlertRecord)]
    [InlineData(0x0302, AlertRecord)]
    [InlineData(0x0303, HandshakeRecord)]
    public async Task Older_TLS_than_1_2_is_refused(int version, int record)
    {
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, _server.Face.Port, Stop);
        var stream = socket.GetStream();
        await stream.WriteAsync(ClientHello(version), Stop);
        var head = new byte[5];
        await stream.ReadExactlyAsync(head, Stop);
        Assert.Equal(record, head[0]);
        if (record != AlertRecord) return;
        var alert = new byte[BinaryPrimitives.ReadUInt16BigEndian(head.AsSpan(3))];
        await stream.ReadExactlyAsync(alert, Stop);
        Assert.Equal(ProtocolVersionAlert, alert[1]);
    }

    [Fact]
    public void A_user_has_so_many_watches_and_others_have_theirs()
    {
        using var inFlight = new InFlight(TimeProvider.System);
        List<IDisposable> places = [.. Enumerable.Range(0, Limits.LongRequestsPerUserMax).Select(_ => inFlight.EnterLong(new User("jane")))];
        var refused = Assert.Throws<ApiException>(() => inFlight.EnterLong(new User("jane")));
        Assert.Equal((429, 1), (refused.Code, refused.Status.RetryAfterSeconds));
        places.Add(inFlight.EnterLong(new User("joe")));
        places[0].Dispose();
        places[0] = inFlight.EnterLong(new User("jane"));
        foreach (var place in places) place.Dispose();
        Assert.Equal(0, inFlight.Now(RequestClass.Long));
    }

    [Fact]
    public async Task A_new_kind_is_in_the_documents_as_soon_as_it_is_served()
    {
        using var admin = _server.Client();
        Assert.DoesNotContain("stable.example.com", await admin.GetStringAsync("/openapi/v3", Stop), StringComparison.Ordinal);
        var before = (await admin.GetAsync("/openapi/v2", Stop)).Headers.ETag;
        await _server.Admin.Create(ResourceKey.Of(Kind.CustomResourceDefinition, "", ""), Yaml.ToJson(Encoding.UTF8.GetBytes(CronTab.Definition)), stop: Stop);
        await foreach (var seen in _server.Admin.Watch(new(Kind.CustomResourceDefinition), Stop))
        {
            if (JsonNode.Parse(seen.Object!.Json.Span)!["status"]?["conditions"]?.AsArray().Any(x => (string?)x!["type"] == "Established" && (string?)x["status"] == "True") == true) break;
        }
        // At once, so within a second.
        Assert.Contains("apis/stable.example.com/v1beta1", await admin.GetStringAsync("/openapi/v3", Stop), StringComparison.Ordinal);
        Assert.Contains("A job that is started by the clock.", await admin.GetStringAsync("/openapi/v3/apis/stable.example.com/v1", Stop), StringComparison.Ordinal);
        using var after = await admin.GetAsync("/openapi/v2", Stop);
        Assert.NotEqual(before, after.Headers.ETag);
        Assert.Contains("com.example.stable.v1.CronTab", await after.Content.ReadAsStringAsync(Stop), StringComparison.Ordinal);
        using var request = new HttpRequestMessage(HttpMethod.Get, "/openapi/v2") { Version = HttpVersion.Version20 };
        request.Headers.TryAddWithoutValidation("Accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
        using var protobuf = await admin.SendAsync(request, Stop);
        Assert.True((await protobuf.Content.ReadAsByteArrayAsync(Stop)).AsSpan().IndexOf("com.example.stable.v1.CronTab"u8) >= 0);
        Assert.Contains("stable.example.com", await admin.GetStringAsync("/apis", Stop), StringComparison.Ordinal);
    }

    /// <summary>The least of a ClientHello (RFC 5246, 7.4.1.2) that a server with an ECDSA certificate answers.</summary>
    private static byte[] ClientHello(int version)
    {
        byte[] suites = [0xC0, 0x2B, 0xC0, 0x09, 0xC0, 0x0A, 0x00, 0x2F]; // ECDHE_ECDSA with AES-GCM and with AES-CBC, RSA with AES-CBC
        byte[] extensions =
        [
            0x00, 0x0A, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17, // supported_groups: secp256r1
            0x00, 0x0B, 0x00, 0x02, 0x01, 0x00, // ec_point_formats: uncompressed
            0x00, 0x0D, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03, // signature_algorithms: ecdsa_secp256r1_sha256
        ];
        byte[] body = [(byte)(version >> 8), (byte)version, .. new byte[32], 0, 0, (byte)suites.Length, .. suites, 1, 0, 0, (byte)extensions.Length, .. extensions];
        return [HandshakeRecord, 3, 1, 0, (byte)(body.Length + 4), 1, 0, 0, (byte)body.Length, .. body];
    }
}
