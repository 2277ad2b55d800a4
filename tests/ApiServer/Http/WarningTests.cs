using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>The Warning headers of kinds that nothing acts on and of old versions: on every verb, as Kubernetes warns of old versions.</summary>
public sealed class WarningTests : IAsyncLifetime
{
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

    [Fact]
    public async Task A_kind_without_effect_says_so_whatever_is_asked_of_it()
    {
        const string Path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
        const string Says = "299 - \"NetworkPolicy.networking.k8s.io/v1 is stored, but nothing acts on it here\"";
        Assert.Empty(await Of(HttpMethod.Get, Path));
        Assert.Equal([Says], await Of(HttpMethod.Post, Path, """{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a"},"spec":{"podSelector":{}}}"""));
        Assert.Equal([Says], await Of(HttpMethod.Get, Path));
        Assert.Equal([Says], await Of(HttpMethod.Get, $"{Path}/a"));
        Assert.Equal([Says], await Of(HttpMethod.Get, $"{Path}?watch=true&timeoutSeconds=1"));
        Assert.Equal([Says], await Of(HttpMethod.Patch, $"{Path}/a", """{"metadata":{"labels":{"a":"b"}}}""", "application/merge-patch+json"));
        Assert.Equal([Says], await Of(HttpMethod.Delete, $"{Path}/a"));
        Assert.Equal([Says], await Of(HttpMethod.Get, $"{Path}/a"));
        Assert.Equal([Says], await Of(HttpMethod.Delete, Path));
    }

    [Fact]
    public async Task An_old_version_names_the_newer_one()
    {
        const string Path = "/apis/batch/v1beta1/namespaces/default/cronjobs";
        const string Says = "299 - \"batch/v1beta1 CronJob is deprecated; use batch/v1 CronJob\"";
        foreach (var method in (HttpMethod[])[HttpMethod.Get, HttpMethod.Delete]) Assert.Equal([Says], await Of(method, Path));
        Assert.Empty(await Of(HttpMethod.Get, "/apis/batch/v1/namespaces/default/cronjobs"));
    }

    [Fact]
    public async Task Priorities_have_an_effect() =>
        Assert.Empty(await Of(HttpMethod.Post, "/apis/scheduling.k8s.io/v1/priorityclasses", """{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"a"},"value":7}"""));

    private async Task<List<string>> Of(HttpMethod method, string path, string? body = null, string type = "application/json")
    {
        using var request = new HttpRequestMessage(method, path) { Content = body?.Body(type) };
        using var answer = await _admin.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
        return answer.Headers.TryGetValues("Warning", out var values) ? [.. values] : [];
    }
}
