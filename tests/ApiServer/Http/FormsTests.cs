using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.CustomResources;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Discovery, OpenAPI and the forms of objects, as a client negotiates them.</summary>
public sealed class FormsTests : IAsyncLifetime
{
    private const string Maps = "/api/v1/namespaces/default/configmaps";
    private const string Table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    private RunningFace _server = null!;
    private HttpClient _admin = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start();
        _admin = _server.Client();
        await _admin.PostAsync(Maps, """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}""".Body(), Stop).Json(201);
    }

    public async ValueTask DisposeAsync()
    {
        _admin.Dispose();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData("v2")]
    [InlineData("v2beta1")]
    public async Task Aggregated_discovery_agrees_with_the_old_form(string version)
    {
        var kinds = new List<string>();
        foreach (var path in (string[])["/api", "/apis"])
        {
            var list = await Get(path, $"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList,application/json");
            Assert.Equal($"apidiscovery.k8s.io/{version}", list.Text("apiVersion"));
            foreach (var group in list.GetProperty("items").EnumerateArray())
            {
                foreach (var each in group.GetProperty("versions").EnumerateArray())
                {
                    var name = group.GetProperty("metadata").TryGetProperty("name", out var found) ? found.GetString() : "";
                    var old = await Get(name is null or "" ? $"/api/{each.Text("version")}" : $"/apis/{name}/{each.Text("version")}");
                    var resources = each.GetProperty("resources").EnumerateArray().ToList();
                    Assert.Equal(old.GetProperty("resources").EnumerateArray().Select(x => x.Text("name")).Where(x => !x.Contains('/', StringComparison.Ordinal)), resources.Select(x => x.Text("resource")));
                    kinds.AddRange(resources.Select(x => x.Text("responseKind", "kind")));
                }
            }
        }
        Assert.Equal(Kind.All.Select(x => x.Name).Order(StringComparer.Ordinal), kinds.Order(StringComparer.Ordinal));
        Assert.Equal("APIGroupList", (await Get("/apis", "application/json")).Text("kind"));
        Assert.Equal("apps", (await Get("/apis/apps")).Text("name"));
        Assert.Equal("v2", (await Get("/apis/autoscaling")).Text("preferredVersion", "version"));
    }

    [Theory]
    [InlineData("/api")]
    [InlineData("/apis")]
    [InlineData("/apis/apps/v1")]
    [InlineData("/openapi/v2")]
    [InlineData("/openapi/v3")]
    [InlineData("/openapi/v3/apis/apps/v1")]
    public async Task Documents_are_not_sent_twice(string path)
    {
        using var first = await _admin.GetAsync(path, Stop);
        Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        using var again = new HttpRequestMessage(HttpMethod.Get, path) { Version = HttpVersion.Version20 };
        again.Headers.IfNoneMatch.Add(first.Headers.ETag!);
        using var second = await _admin.SendAsync(again, Stop);
        Assert.Equal(HttpStatusCode.NotModified, second.StatusCode);
    }

    [Fact]
    public async Task Every_document_of_the_index_is_served()
    {
        var paths = (await Get("/openapi/v3")).GetProperty("paths").EnumerateObject().Select(x => x.Value.Text("serverRelativeURL")).ToList();
        Assert.Contains(paths, x => x.StartsWith("/openapi/v3/apis/declarative.mesos/v1?hash=", StringComparison.Ordinal));
        foreach (var path in paths) Assert.Equal("3.0.0", (await Get(path)).Text("openapi"));
    }

    [Fact]
    public async Task Rows_carry_what_was_asked_for()
    {
        foreach (var (query, kind) in ((string, string)[])[("", "PartialObjectMetadata"), ("?includeObject=Object", "ConfigMap")])
        {
            var row = Assert.Single((await Get(Maps + query, Table)).GetProperty("rows").EnumerateArray());
            Assert.Equal("a", row.GetProperty("cells")[0].GetString());
            Assert.Equal(kind, row.Text("object", "kind"));
            Assert.Equal("a", row.Text("object", "metadata", "name"));
        }
        var bare = Assert.Single((await Get(Maps + "/a?includeObject=None", Table)).GetProperty("rows").EnumerateArray());
        Assert.False(bare.TryGetProperty("object", out _));
        await _admin.GetAsync(Maps + "?includeObject=Half", Stop).Json();
        using var request = Ask(Maps + "?includeObject=Half", Table);
        await _admin.SendAsync(request, Stop).Json(400);
        var partial = await Get(Maps, "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io");
        Assert.Equal("PartialObjectMetadataList", partial.Text("kind"));
        Assert.False(partial.GetProperty("items")[0].TryGetProperty("data", out _));
    }

    [Fact]
    public async Task A_watched_table_names_its_columns_once()
    {
        using var request = Ask(Maps + "?watch=true", Table);
        using var answer = await _admin.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(Stop));
        using var first = JsonDocument.Parse((await lines.ReadLineAsync(Stop))!);
        Assert.Equal(3, first.RootElement.GetProperty("object").GetProperty("columnDefinitions").GetArrayLength());
        await _admin.PatchAsync(Maps + "/a", """{"data":{"l":"w"}}""".Body("application/merge-patch+json"), Stop).Json();
        using var second = JsonDocument.Parse((await lines.ReadLineAsync(Stop))!);
        Assert.Equal(JsonValueKind.Null, second.RootElement.GetProperty("object").GetProperty("columnDefinitions").ValueKind);
        Assert.Equal(2, second.RootElement.GetProperty("object").GetProperty("rows")[0].GetProperty("cells")[1].GetInt32());
    }

    [Fact]
    public async Task Bodies_and_answers_in_yaml_and_protobuf()
    {
        var made = await _admin.PostAsync(Maps, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: in-yaml\ndata:\n  k: 'on'\n".Body("application/yaml"), Stop).Json(201);
        Assert.Equal("on", made.Text("data", "k"));
        await _admin.PostAsync(Maps, "a: [".Body("application/yaml"), Stop).Json(400);

        using var ask = Ask(Maps + "/in-yaml", "application/vnd.kubernetes.protobuf");
        using var answer = await _admin.SendAsync(ask, Stop);
        Assert.Equal("application/vnd.kubernetes.protobuf", answer.Content.Headers.ContentType?.MediaType);
        var bytes = await answer.Content.ReadAsByteArrayAsync(Stop);
        Assert.Equal("k8s\0"u8.ToArray(), bytes[..4]);
        using var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/vnd.kubernetes.protobuf");
        Assert.Equal("Conflict", (await Put(content, await _admin.DeleteAsync(Maps + "/a", Stop).Json())).Text("reason"));

        async Task<JsonElement> Put(HttpContent body, JsonElement _)
        {
            await _admin.PatchAsync(Maps + "/in-yaml", """{"data":{"k":"x"}}""".Body("application/merge-patch+json"), Stop).Json();
            return await _admin.PutAsync(Maps + "/in-yaml", body, Stop).Json(409);
        }
    }

    [Theory]
    [InlineData(Maps + "/a", "application/yaml", 200, "kind: ConfigMap\nmetadata:\n")]
    [InlineData(Maps, "application/yaml", 200, "apiVersion: v1\nitems:\n- apiVersion: v1\n  data:\n    k: v\n")]
    [InlineData(Maps, "application/yaml;as=Table;v=v1;g=meta.k8s.io", 200, "kind: Table\n")]
    [InlineData(Maps + "/none", "application/yaml", 404, "code: 404\ndetails:\n  kind: configmaps\n  name: none\nkind: Status\n")]
    [InlineData(Maps + "/none", "application/vnd.kubernetes.protobuf", 404, "configmaps \"none\" not found")]
    [InlineData(Maps + "?watch=true", "application/yaml", 406, "only the following media types are accepted: application/json;stream=watch")]
    [InlineData(Maps, "text/html", 406, "only the following media types are accepted")]
    [InlineData(Maps, "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", 406, "only the following media types are accepted")]
    [InlineData(Maps, "application/json;as=Table;v=v9;g=meta.k8s.io", 406, "only the following media types are accepted")]
    [InlineData(Maps, "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", 406, "you requested PartialObjectMetadata, but the requested object is a list")]
    [InlineData(Maps + "/a", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", 406, "you requested PartialObjectMetadataList, but the requested object is not a list")]
    public async Task What_is_asked_for_is_what_comes_or_406(string path, string accept, int code, string part)
    {
        using var request = Ask(path, accept);
        using var answer = await _admin.SendAsync(request, Stop);
        var text = await answer.Content.ReadAsStringAsync(Stop);
        Assert.True((int)answer.StatusCode == code, text);
        Assert.Contains(part, text, StringComparison.Ordinal);
        if (accept.StartsWith("application/yaml", StringComparison.Ordinal)) Assert.Equal("application/yaml", answer.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task A_watch_in_protobuf_is_a_stream_of_frames()
    {
        foreach (var (shape, kind) in ((string, string)[])[("", "ConfigMap"), (";as=PartialObjectMetadata;g=meta.k8s.io;v=v1", "PartialObjectMetadata")])
        {
            using var request = Ask(Maps + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Da", "application/vnd.kubernetes.protobuf" + shape);
            using var answer = await _admin.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
            Assert.Equal("application/vnd.kubernetes.protobuf; stream=watch", answer.Content.Headers.ContentType?.ToString().Replace(";stream", "; stream", StringComparison.Ordinal));
            await using var stream = await answer.Content.ReadAsStreamAsync(Stop);
            var added = await Frame(stream);
            Assert.Equal(("ADDED", kind, "a"), (added.Type, (string?)added.Object["kind"], (string?)added.Object["metadata"]!["name"]));
            Assert.Equal(shape.Length == 0, added.Object["data"] is not null);
            var bookmark = await Frame(stream);
            Assert.Equal(("BOOKMARK", "true"), (bookmark.Type, (string?)bookmark.Object["metadata"]!["annotations"]!["k8s.io/initial-events-end"]));
            await _admin.PatchAsync(Maps + "/a", ("{\"metadata\":{\"labels\":{\"seen\":\"by" + kind + "\"}}}").Body("application/merge-patch+json"), Stop).Json();
            Assert.Equal("MODIFIED", (await Frame(stream)).Type);
        }
    }

    [Theory]
    [InlineData("", 406)]
    [InlineData(";as=PartialObjectMetadata;g=meta.k8s.io;v=v1", 200)]
    public async Task A_watch_of_custom_objects_in_protobuf_is_refused_before_it_begins(string shape, int code)
    {
        (await _admin.PostAsync("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CronTab.Definition.Body("application/yaml"), Stop)).EnsureSuccessStatusCode();
        const string tabs = "/apis/stable.example.com/v1/namespaces/default/crontabs";
        while (true)
        {
            using var listed = await _admin.GetAsync(tabs, Stop);
            if (listed.IsSuccessStatusCode) break;
            await Task.Delay(20, Stop);
        }
        using var request = Ask(tabs + "?watch=true", "application/vnd.kubernetes.protobuf" + shape);
        using var answer = await _admin.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
        Assert.Equal(code, (int)answer.StatusCode);
    }

    /// <summary>A deliberate difference: kube-apiserver takes whichever is named first.</summary>
    [Fact]
    public async Task Who_takes_protobuf_and_JSON_gets_JSON()
    {
        Assert.Equal("a", (await Get(Maps + "/a", "application/vnd.kubernetes.protobuf,application/json")).Text("metadata", "name"));
        // Not where the JSON would be of another shape.
        using var request = Ask(Maps + "/a", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");
        using var answer = await _admin.SendAsync(request, Stop);
        Assert.Equal("application/vnd.kubernetes.protobuf", answer.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task Metadata_of_a_list_comes_in_protobuf_too()
    {
        using var request = Ask(Maps, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
        using var answer = await _admin.SendAsync(request, Stop);
        var bytes = await answer.Content.ReadAsByteArrayAsync(Stop);
        Assert.Equal(200, (int)answer.StatusCode);
        var text = System.Text.Encoding.Latin1.GetString(bytes);
        Assert.Contains("PartialObjectMetadataList", text, StringComparison.Ordinal);
        Assert.Contains("default", text, StringComparison.Ordinal);
    }

    /// <summary>One event: its length, then { type = 1, object = 2 { raw = 1 } }, raw being an object in its envelope.</summary>
    private static async Task<(string Type, System.Text.Json.Nodes.JsonNode Object)> Frame(Stream stream)
    {
        var head = new byte[4];
        await stream.ReadExactlyAsync(head, Stop);
        var frame = new byte[System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(head)];
        await stream.ReadExactlyAsync(frame, Stop);
        var (type, rest) = Field(frame, 1);
        var (extension, _) = Field(rest, 2);
        var (raw, _) = Field(extension, 1);
        return (System.Text.Encoding.UTF8.GetString(type.Span), System.Text.Json.Nodes.JsonNode.Parse(Declarative.ApiServer.Protobuf.ProtobufCodec.ToJson(raw.Span))!);

        static (ReadOnlyMemory<byte> Value, ReadOnlyMemory<byte> Others) Field(ReadOnlyMemory<byte> message, int number)
        {
            Assert.Equal((number << 3) | 2, message.Span[0]);
            var (length, at) = (0, 1);
            for (var shift = 0; ; shift += 7)
            {
                var b = message.Span[at++];
                length |= (b & 0x7f) << shift;
                if (b < 0x80) break;
            }
            return (message.Slice(at, length), message[(at + length)..]);
        }
    }

    [Fact]
    public async Task Health_tells_which_check_fails()
    {
        var failure = "no master";
        await using var server = await RunningFace.Start(x => x with { Readiness = [new("mesos", _ => ValueTask.FromResult<string?>(failure))] });
        using var nobody = server.Client(role: "");
        using var unready = await nobody.GetAsync("/readyz", Stop);
        Assert.Equal(500, (int)unready.StatusCode);
        Assert.Equal("[+]ping ok\n[-]mesos failed: no master\nreadyz check failed\n", await unready.Content.ReadAsStringAsync(Stop));
        Assert.Equal("ok", await nobody.GetStringAsync("/livez", Stop));
        Assert.Equal("ok", await nobody.GetStringAsync("/readyz?exclude=mesos", Stop));
        Assert.Equal(404, (int)(await nobody.GetAsync("/readyz/none", Stop)).StatusCode);
        failure = null;
        Assert.Equal("[+]ping ok\n[+]mesos ok\nreadyz check passed\n", await nobody.GetStringAsync("/readyz?verbose", Stop));
    }

    private async Task<JsonElement> Get(string path, string accept = "application/json")
    {
        using var request = Ask(path, accept);
        return await _admin.SendAsync(request, Stop).Json();
    }

    private static HttpRequestMessage Ask(string path, string accept)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path) { Version = HttpVersion.Version20 };
        request.Headers.TryAddWithoutValidation("Accept", accept);
        return request;
    }
}
