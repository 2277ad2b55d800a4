using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

public sealed class HttpFaceTests : IAsyncLifetime
{
    private const string Maps = "/api/v1/namespaces/default/configmaps";
    private RunningFace _server = null!;
    private HttpClient _admin = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start();
        _admin = _server.Client();
    }

    public async ValueTask DisposeAsync()
    {
        _admin.Dispose();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task An_object_lives_its_life_over_both_versions_of_http(string version)
    {
        using var client = _server.Client(version: Version.Parse(version));
        var made = await client.PostAsync(Maps, Map("a").Body(), Stop).Json(201);
        Assert.Equal("ConfigMap", made.Text("kind"));
        var got = await client.GetAsync($"{Maps}/a", Stop).Json();
        Assert.Equal(made.ToString(), got.ToString());

        var patched = await client.PatchAsync($"{Maps}/a", """{"data":{"x":"1"}}""".Body("application/merge-patch+json"), Stop).Json();
        Assert.Equal("1", patched.Text("data", "x"));
        var stale = Map("a").Replace("\"name\"", $"\"resourceVersion\":\"{made.Text("metadata", "resourceVersion")}\",\"name\"", StringComparison.Ordinal);
        Assert.Equal("Conflict", (await client.PutAsync($"{Maps}/a", stale.Body(), Stop).Json(409)).Text("reason"));

        var list = await client.GetAsync(Maps, Stop).Json();
        Assert.Equal("ConfigMapList", list.Text("kind"));
        Assert.Equal("a", Assert.Single(list.GetProperty("items").EnumerateArray()).Text("metadata", "name"));

        var gone = await client.DeleteAsync($"{Maps}/a", Stop).Json();
        Assert.Equal("Success", gone.Text("status"));
        Assert.Equal(made.Text("metadata", "uid"), gone.Text("details", "uid"));
        var none = await client.GetAsync($"{Maps}/a", Stop).Json(404);
        Assert.Equal("configmaps \"a\" not found", none.Text("message"));
    }

    [Theory]
    [InlineData("DELETE", "/api/v1/namespaces", "", 405, "does not allow the method DELETE")]
    [InlineData("PUT", Maps + "/absent", """{"metadata":{"name":"other"}}""", 400, "the name of the object (other) does not match the name on the URL (absent)")]
    [InlineData("PUT", Maps + "/absent", """{"metadata":{"name":"absent"}}""", 404, "not found")]
    [InlineData("GET", Maps + "?resourceVersion=1000000", "", 504, "Too large resource version: 1000000")]
    public async Task What_can_not_be_is_refused_before_anything_is_looked_for(string method, string path, string body, int code, string says)
    {
        using var request = new HttpRequestMessage(new(method), path) { Content = body.Length > 0 ? body.Body() : null, Version = HttpVersion.Version20 };
        var refused = await _admin.SendAsync(request, Stop).Json(code);
        Assert.Contains(says, refused.Text("message"), StringComparison.Ordinal);
        if (code != 504) return;
        // What informers of client libraries list anew for.
        Assert.Equal("""[{"reason":"ResourceVersionTooLarge","message":"Too large resource version"}]""", refused.GetProperty("details").GetProperty("causes").GetRawText());
        Assert.Equal("1", refused.Text("details", "retryAfterSeconds"));
    }

    [Fact]
    public async Task A_watch_streams_lines_and_ends_at_its_time()
    {
        var start = (await _admin.GetAsync(Maps, Stop).Json()).Text("metadata", "resourceVersion");
        using var answer = await _admin.GetAsync($"{Maps}?watch=true&resourceVersion={start}&allowWatchBookmarks=true", HttpCompletionOption.ResponseHeadersRead, Stop);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(Stop));
        await _admin.PostAsync(Maps, Map("w").Body(), Stop).Json(201);
        var added = await Line(lines);
        Assert.Equal("ADDED", added.Text("type"));
        await _admin.DeleteAsync($"{Maps}/w", Stop).Json();
        var deleted = await Line(lines);
        Assert.Equal("DELETED", deleted.Text("type"));
        Assert.NotEqual(added.Text("object", "metadata", "resourceVersion"), deleted.Text("object", "metadata", "resourceVersion"));

        using var brief = await _admin.GetAsync($"{Maps}?watch=true&timeoutSeconds=1&resourceVersion={start}", Stop);
        Assert.Equal(2, (await brief.Content.ReadAsStringAsync(Stop)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task A_watch_tells_of_its_present_objects_and_where_they_end()
    {
        await _admin.PostAsync(Maps, Map("a").Body(), Stop).Json(201);
        using var answer = await _admin.GetAsync($"{Maps}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", HttpCompletionOption.ResponseHeadersRead, Stop);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(Stop));
        Assert.Equal("ADDED", (await Line(lines)).Text("type"));
        var end = await Line(lines);
        Assert.Equal("BOOKMARK", end.Text("type"));
        Assert.Equal("true", end.Text("object", "metadata", "annotations", "k8s.io/initial-events-end"));
    }

    [Fact]
    public async Task A_watch_that_names_no_time_ends_at_the_servers()
    {
        await using var server = await RunningFace.Start(x => x with { WatchTimeMin = TimeSpan.FromMilliseconds(20) });
        using var client = server.Client();
        // To its end, not to its first bytes.
        using var answer = await client.GetAsync($"{Maps}?watch=true", Stop);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        // More than any clock can be set to.
        using var longest = await client.GetAsync($"{Maps}?watch=true&timeoutSeconds=2147483647", HttpCompletionOption.ResponseHeadersRead, Stop);
        Assert.Equal(HttpStatusCode.OK, longest.StatusCode);
    }

    [Fact]
    public void Watches_end_at_different_times_from_the_least_to_twice_it()
    {
        var times = new WatchTimes(TimeSpan.FromMinutes(30), new Random(1));
        List<TimeSpan> drawn = [.. Enumerable.Range(0, 100).Select(_ => times.Next())];
        Assert.All(drawn, x => Assert.InRange(x, TimeSpan.FromMinutes(30), TimeSpan.FromMinutes(60)));
        Assert.True(drawn.Distinct().Count() > 90);
    }

    [Fact]
    public async Task A_watch_ends_when_the_server_stops()
    {
        await using var server = await RunningFace.Start();
        using var client = server.Client();
        using var answer = await client.GetAsync($"{Maps}?watch=true", HttpCompletionOption.ResponseHeadersRead, Stop);
        var reading = answer.Content.ReadAsStringAsync(Stop);
        await server.Face.DisposeAsync();
        Assert.Equal("", await reading);
    }

    [Fact]
    public async Task Who_is_unknown_gets_nothing_but_health_and_version()
    {
        using var nobody = _server.Client(role: "");
        foreach (var path in (string[])["/healthz", "/livez", "/readyz", "/readyz/ping", "/version"])
        {
            Assert.Equal(HttpStatusCode.OK, (await nobody.GetAsync(path, Stop)).StatusCode);
        }
        foreach (var path in (string[])["/api", "/apis", "/openapi/v3", "/metrics", Maps, "/nonsense"])
        {
            Assert.Equal("Unauthorized", (await nobody.GetAsync(path, Stop).Json(401)).Text("reason"));
        }
        nobody.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", new string('0', 64));
        await nobody.GetAsync(Maps, Stop).Json(401);
        using var byToken = _server.Client(byToken: true);
        await byToken.GetAsync(Maps, Stop).Json();
    }

    [Fact]
    public async Task A_certificate_of_another_authority_is_a_stranger()
    {
        await using var other = await RunningFace.Start();
        using var ssl = new SocketsHttpHandler();
        var admin = Declarative.ApiServer.Authentication.Identity.All[0];
        ssl.SslOptions.ClientCertificates =
            [System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(other.Face.Pki.ClientCertificate(admin), other.Face.Pki.ClientKey(admin))];
        ssl.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        using var client = new HttpClient(ssl);
        await client.GetAsync(_server.Face.Url + Maps, Stop).Json(401);
    }

    [Fact]
    public async Task Each_identity_may_do_its_own_work_alone()
    {
        using var dns = _server.Client("dns");
        await dns.GetAsync("/api/v1/services", Stop).Json();
        var refused = await dns.GetAsync("/api/v1/secrets", Stop).Json(403);
        Assert.Equal("secrets is forbidden: User \"system:declarative:dns\" cannot list resource \"secrets\" in API group \"\" at the cluster scope", refused.Text("message"));
        await dns.PostAsync(Maps, Map("a").Body(), Stop).Json(403);
        await dns.DeleteAsync(Maps, Stop).Json(403);
        await dns.GetAsync("/metrics", Stop).Json(403);
        await dns.GetAsync("/apis", Stop).Json();
    }

    [Theory]
    [InlineData("POST", Maps, "{", 400)]
    [InlineData("POST", Maps, "[]", 400)]
    [InlineData("POST", Maps, "", 400)]
    [InlineData("POST", Maps, "\"x\"", 400)]
    [InlineData("POST", Maps, """{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}""", 400)]
    [InlineData("POST", Maps + "?fieldValidation=Perhaps", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}""", 422)]
    [InlineData("POST", Maps + "?dryRun=Some", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}""", 422)]
    [InlineData("GET", Maps + "?labelSelector=a%3D%3D%3Db", "", 400)]
    [InlineData("GET", Maps + "?resourceVersion=soon", "", 400)]
    [InlineData("GET", Maps + "?limit=many", "", 400)]
    [InlineData("GET", Maps + "?continue=x", "", 400)]
    [InlineData("GET", Maps + "?resourceVersionMatch=Exact", "", 422)]
    [InlineData("GET", "/api/v1/namespaces/default/teapots", "", 404)]
    [InlineData("GET", "/api/v2/pods", "", 404)]
    [InlineData("GET", "/api/v1/namespaces//pods", "", 404)]
    [InlineData("GET", "/apis/apps/v1/namespaces/default/deployments/x/brew", "", 404)]
    [InlineData("TRACE", Maps, "", 405)]
    [InlineData("PATCH", Maps + "/a", "{}", 415)]
    [InlineData("DELETE", Maps + "/a?propagationPolicy=Sometimes", "", 422)]
    [InlineData("DELETE", Maps + "/a", """{"gracePeriodSeconds":"long"}""", 400)]
    public async Task What_is_malformed_is_refused_with_a_status(string method, string path, string body, int code)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Version = HttpVersion.Version11 };
        if (body.Length > 0) request.Content = body.Body();
        using var client = _server.Client(version: HttpVersion.Version11);
        var status = await client.SendAsync(request, Stop).Json(code);
        Assert.Equal("Status", status.Text("kind"));
        Assert.Equal("Failure", status.Text("status"));
        Assert.NotEqual("", status.Text("message"));
        Assert.Equal(code, status.GetProperty("code").GetInt32());
    }

    [Fact]
    public async Task A_body_beyond_the_limit_is_refused()
    {
        var large = Map("a").Replace("\"v\"", $"\"{new string('x', Limits.RequestBodyBytesMax)}\"", StringComparison.Ordinal);
        using var client = _server.Client(version: HttpVersion.Version11);
        var status = await client.PostAsync(Maps, large.Body(), Stop).Json(413);
        Assert.Equal("RequestEntityTooLarge", status.Text("reason"));
        using var chunked = new HttpRequestMessage(HttpMethod.Post, Maps) { Content = large.Body(), Version = HttpVersion.Version11 };
        chunked.Headers.TransferEncodingChunked = true;
        await client.SendAsync(chunked, Stop).Json(413);
        await client.GetAsync(Maps, Stop).Json();
    }

    [Fact]
    public async Task Bytes_that_are_no_http_end_their_connection_only()
    {
        foreach (var garbage in (byte[][])[[0], [0xff, 0xfe, 0xfd], "GET / HTTP/9.9\r\n\r\n"u8.ToArray(), new byte[70_000]])
        {
            using var socket = new System.Net.Sockets.TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, _server.Face.Port, Stop);
            await using var ssl = new System.Net.Security.SslStream(socket.GetStream(), false, (_, _, _, _) => true);
            await ssl.AuthenticateAsClientAsync("localhost");
            try
            {
                await ssl.WriteAsync(garbage, Stop);
                socket.Client.Shutdown(System.Net.Sockets.SocketShutdown.Send);
                Assert.InRange(await ssl.ReadAsync(new byte[256], Stop), 0, 256);
            }
            catch (IOException)
            {
                continue; // cut by the server: as good an answer
            }
        }
        await _admin.GetAsync(Maps, Stop).Json();
    }

    [Fact]
    public async Task Large_lists_are_compressed_for_those_who_ask()
    {
        for (var i = 0; i < 3; i++) await _admin.PostAsync(Maps, Map("big" + i).Replace("\"v\"", $"\"{new string('x', 100_000)}\"", StringComparison.Ordinal).Body(), Stop).Json(201);
        using var request = new HttpRequestMessage(HttpMethod.Get, Maps) { Version = HttpVersion.Version20 };
        request.Headers.AcceptEncoding.Add(new("gzip"));
        using var answer = await _admin.SendAsync(request, Stop);
        Assert.Equal("gzip", Assert.Single(answer.Content.Headers.ContentEncoding));
        await using var plain = new System.IO.Compression.GZipStream(await answer.Content.ReadAsStreamAsync(Stop), System.IO.Compression.CompressionMode.Decompress);
        using var document = await JsonDocument.ParseAsync(plain, cancellationToken: Stop);
        Assert.Equal(3, document.RootElement.GetProperty("items").GetArrayLength());
        using var asIs = await _admin.GetAsync(Maps, Stop);
        Assert.Empty(asIs.Content.Headers.ContentEncoding);
    }

    [Fact]
    public async Task A_collection_is_deleted_by_its_selector()
    {
        foreach (var name in (string[])["a", "b", "c"]) await _admin.PostAsync(Maps, Map(name).Replace("\"name\"", $"\"labels\":{{\"n\":\"{name}\"}},\"name\"", StringComparison.Ordinal).Body(), Stop).Json(201);
        var gone = await _admin.DeleteAsync($"{Maps}?labelSelector=n+in+(a,b)", Stop).Json();
        Assert.Equal(["a", "b"], gone.GetProperty("items").EnumerateArray().Select(x => x.Text("metadata", "name")));
        var left = await _admin.GetAsync(Maps, Stop).Json();
        Assert.Equal("c", Assert.Single(left.GetProperty("items").EnumerateArray()).Text("metadata", "name"));
    }

    [Fact]
    public async Task Credentials_are_private_and_kept_across_restarts()
    {
        foreach (var file in Directory.EnumerateFiles(_server.Directory, "*", SearchOption.AllDirectories))
        {
            if (OperatingSystem.IsWindows()) break; // file modes are Unix's
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
        var before = Directory.EnumerateFiles(Path.Combine(_server.Directory, "pki")).Where(x => !x.EndsWith(".kubeconfig", StringComparison.Ordinal)).Order().Select(File.ReadAllText).ToList();
        using (Declarative.ApiServer.Authentication.Pki.Open(Path.Combine(_server.Directory, "pki"), TimeProvider.System, [], [IPAddress.Loopback]))
        {
            var after = Directory.EnumerateFiles(Path.Combine(_server.Directory, "pki")).Where(x => !x.EndsWith(".kubeconfig", StringComparison.Ordinal)).Order().Select(File.ReadAllText).ToList();
            Assert.Equal(before, after);
        }
        await Task.CompletedTask;
    }

    private static async Task<JsonElement> Line(StreamReader lines)
    {
        using var document = JsonDocument.Parse(await lines.ReadLineAsync(Stop) ?? throw new EndOfStreamException());
        return document.RootElement.Clone();
    }

    private static string Map(string name) => $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}"},"data":{"k":"v"}}""";
}
