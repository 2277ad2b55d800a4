using System.Net;
using Declarative.Api;
using Declarative.ApiServer.Http;
using Microsoft.AspNetCore.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Parameters that do not go together, in the words of kube-apiserver.</summary>
public sealed class OptionChecksTests : IAsyncLifetime
{
    private const string Maps = "/api/v1/namespaces/default/configmaps";
    private const string Map = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}""";
    private RunningFace _server = null!;
    private HttpClient _admin = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start();
        _admin = _server.Client();
        foreach (var name in (string[])["a", "b", "c"]) await _admin.PostAsync(Maps, Map.Replace("\"x\"", $"\"{name}\"", StringComparison.Ordinal).Body(), Stop).Json(201);
    }

    public async ValueTask DisposeAsync()
    {
        _admin.Dispose();
        await _server.DisposeAsync();
    }

    [Theory]
    [InlineData("GET", "?limit=x", "", 400, "limit: \"x\" is not an integer")]
    [InlineData("GET", "?timeoutSeconds=x", "", 400, "timeoutSeconds: \"x\" is not an integer")]
    [InlineData("GET", "?watch=1&timeoutSeconds=x", "", 400, "timeoutSeconds: \"x\" is not an integer")]
    [InlineData("GET", "?continue=abc&resourceVersion=5", "", 400, "specifying resource version is not allowed when using continue")]
    [InlineData("GET", "?resourceVersionMatch=Exact", "", 422, "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")]
    [InlineData("GET", "?resourceVersionMatch=Exact&resourceVersion=0", "", 422, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"")]
    [InlineData("GET", "?resourceVersionMatch=Nearly&resourceVersion=1", "", 422, "Unsupported value: \"Nearly\": supported values: \"Exact\", \"NotOlderThan\", \"\"")]
    [InlineData("GET", "?resourceVersionMatch=NotOlderThan&resourceVersion=0&continue=abc", "", 422, "resourceVersionMatch is forbidden when continue is provided")]
    [InlineData("GET", "?sendInitialEvents=true", "", 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")]
    [InlineData("GET", "?watch=1&sendInitialEvents=true", "", 422, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")]
    [InlineData("GET", "?watch=1&resourceVersionMatch=NotOlderThan", "", 422, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")]
    [InlineData("GET", "?watch=1&resourceVersionMatch=Exact&sendInitialEvents=true", "", 422, "Unsupported value: \"Exact\": supported values: \"NotOlderThan\"")]
    [InlineData("POST", "?dryRun=x", Map, 422, "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"x\"]: supported values: \"All\"")]
    [InlineData("POST", "?fieldValidation=x", Map, 422, "fieldValidation: Unsupported value: \"x\": supported values: \"Ignore\", \"Strict\", \"Warn\"")]
    [InlineData("POST", "?fieldManager=%07", Map, 422, "fieldManager: Invalid value: \"\\u0007\": invalid character U+0007 (at position 0)")]
    [InlineData("PUT", "/a?fieldManager=LONG", Map, 422, "UpdateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than 128 bytes")]
    [InlineData("POST", "", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","resourceVersion":"5"}}""", 500, "resourceVersion should not be set on objects to be created")]
    [InlineData("DELETE", "/a?propagationPolicy=Odd", "", 422, "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Odd\": supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"")]
    [InlineData("DELETE", "/a", """{"propagationPolicy":"Orphan","orphanDependents":true}""", 422, "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set")]
    [InlineData("DELETE", "/a", """{"dryRun":["x"]}""", 422, "dryRun: Unsupported value: [\"x\"]")]
    [InlineData("DELETE", "/a", """{"gracePeriodSeconds":"NaN"}""", 400, "the body is not a DeleteOptions object")]
    [InlineData("DELETE", "/a?gracePeriodSeconds=NaN", "", 400, "gracePeriodSeconds: \"NaN\" is not an integer")]
    [InlineData("DELETE", "?sendInitialEvents=true", "", 422, "sendInitialEvents is forbidden for list")]
    public async Task What_does_not_go_together_is_refused(string method, string rest, string body, int code, string message)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), Maps + rest.Replace("LONG", new string('m', 129), StringComparison.Ordinal)) { Version = HttpVersion.Version20 };
        if (body.Length > 0) request.Content = body.Body();
        Assert.Contains(message, (await _admin.SendAsync(request, Stop).Json(code)).Text("message"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Force_is_for_apply_alone_and_apply_names_its_manager()
    {
        var refused = await _admin.PatchAsync(Maps + "/a?force=true", "{}".Body("application/merge-patch+json"), Stop).Json(422);
        Assert.Equal("PatchOptions.meta.k8s.io \"\" is invalid: force: Forbidden: may not be specified for non-apply patch", refused.Text("message"));
        refused = await _admin.PatchAsync(Maps + "/a", "{}".Body("application/apply-patch+yaml"), Stop).Json(422);
        Assert.Equal("FieldValueRequired", refused.GetProperty("details").GetProperty("causes")[0].Text("reason"));
    }

    [Theory]
    [InlineData("Strict")]
    [InlineData("Warn")]
    [InlineData("Ignore")]
    public async Task An_applied_field_that_nobody_knows_is_refused_whatever_the_validation(string validation)
    {
        var body = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"p"},"datum":{"a":"b"}}""";
        var refused = await _admin.PatchAsync($"{Maps}/p?fieldManager=m&fieldValidation={validation}", body.Body("application/apply-patch+yaml"), Stop).Json(500);
        Assert.Equal("failed to create typed patch object (default/p; /v1, Kind=ConfigMap): .datum: field not declared in schema", refused.Text("message"));
    }

    [Fact]
    public async Task What_is_not_applied_is_validated_as_asked()
    {
        var body = """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"v"},"datum":{"a":"b"}}""";
        Assert.Contains("strict decoding error: unknown field \"datum\"", (await _admin.PostAsync(Maps + "?fieldValidation=Strict", body.Body(), Stop).Json(400)).Text("message"), StringComparison.Ordinal);
        using var warned = await _admin.PostAsync(Maps + "?dryRun=All", body.Body(), Stop); // Warn is the default
        Assert.Contains("unknown field \\\"datum\\\"", string.Join(' ', warned.Headers.GetValues("Warning")), StringComparison.Ordinal);
        using var silent = await _admin.PostAsync(Maps + "?dryRun=All&fieldValidation=Ignore", body.Body(), Stop);
        Assert.Equal((HttpStatusCode.Created, false), (silent.StatusCode, silent.Headers.Contains("Warning")));
    }

    [Fact]
    public async Task Below_zero_is_no_limit_and_a_second_of_grace()
    {
        Assert.Equal(3, (await _admin.GetAsync(Maps + "?limit=-1", Stop).Json()).GetProperty("items").EnumerateArray().Count(x => x.Text("metadata", "name").Length == 1));
        await _admin.DeleteAsync(Maps + "/a?gracePeriodSeconds=-1", Stop).Json();
    }

    [Theory]
    [InlineData("limit=500", 500)]
    [InlineData("limit=1000000", Limits.ListPageItemsMax)]
    [InlineData("limit=99999999999", Limits.ListPageItemsMax)]
    [InlineData("limit=-1", 0)]
    [InlineData("", 0)]
    public void A_page_has_at_most_so_many_items_whatever_is_asked(string query, int limit)
    {
        Assert.True(RequestPath.TryParse(Maps, out var path));
        var exchange = new Exchange(new DefaultHttpContext(), User.Admin, _server.Admin, path, RequestQuery.Parse(query), TimeProvider.System);
        Assert.Equal(limit, Reads.Request(exchange).Limit);
    }

    [Fact]
    public async Task What_leaves_a_selection_is_deleted_as_it_was_while_it_matched()
    {
        await _admin.PatchAsync(Maps + "/a", """{"metadata":{"labels":{"color":"red"}},"data":{"k":"old"}}""".Body("application/merge-patch+json"), Stop).Json();
        using var answer = await _admin.GetAsync(Maps + "?watch=true&labelSelector=color%3Dred", HttpCompletionOption.ResponseHeadersRead, Stop);
        using var lines = new StreamReader(await answer.Content.ReadAsStreamAsync(Stop));
        Assert.Equal("ADDED", (await Next()).Text("type"));
        var changed = await _admin.PatchAsync(Maps + "/a", """{"metadata":{"labels":{"color":"blue"}},"data":{"k":"new"}}""".Body("application/merge-patch+json"), Stop).Json();
        var gone = await Next();
        Assert.Equal(("DELETED", "red", "old"), (gone.Text("type"), gone.Text("object", "metadata", "labels", "color"), gone.Text("object", "data", "k")));
        Assert.Equal(changed.Text("metadata", "resourceVersion"), gone.Text("object", "metadata", "resourceVersion"));

        async Task<System.Text.Json.JsonElement> Next()
        {
            using var line = System.Text.Json.JsonDocument.Parse((await lines.ReadLineAsync(Stop))!);
            return line.RootElement.Clone();
        }
    }
}
