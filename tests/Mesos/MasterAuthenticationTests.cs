using System.Net;
using System.Text;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Xunit;

namespace Declarative.Tests.Mesos;

/// <summary>A master with credentials: who may ask what, with the realms and texts of a real one (recording 18).</summary>
public sealed class MasterAuthenticationTests : IAsyncLifetime
{
    private readonly HttpClient http = new();
    private MasterServer server = null!;

    public async ValueTask InitializeAsync()
    {
        var credentials = new Dictionary<string, string>(StringComparer.Ordinal) { ["alice"] = "pw" };
        server = await MasterServer.Start(
            new IPEndPoint(IPAddress.Loopback, 0),
            port => new MiniMaster(new() { Port = port, Credentials = credentials }, TimeProvider.System, new Random(1)),
            TestContext.Current.CancellationToken
        );
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        await server.DisposeAsync();
    }

    [Theory]
    [InlineData("/health", null, 200, null)]
    [InlineData("/version", null, 200, null)]
    [InlineData("/state-summary", null, 401, "mesos-master-readonly")]
    [InlineData("/master/state", "alice:x", 401, "mesos-master-readonly")]
    [InlineData("/state-summary", "alice:pw", 200, null)]
    [InlineData("/api/v1", null, 401, "mesos-master-readwrite")]
    [InlineData("/api/v1/scheduler", "bob:pw", 401, "mesos-master-scheduler")]
    public async Task Open_paths_realms_and_wrong_secrets(string path, string? credentials, int status, string? realm)
    {
        var (answered, challenge, text) = await Send(new HttpRequestMessage(HttpMethod.Get, path), credentials);
        Assert.Equal((status, realm is null ? null : $"Basic realm=\"{realm}\""), (answered, challenge));
        if (status == 401)
            Assert.Equal("401 Unauthorized.", text);
    }

    [Fact]
    public async Task A_framework_of_another_principal_is_refused()
    {
        const string subscribe = """{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"f","principal":"bob"}}}""";
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(subscribe));
        content.Headers.TryAddWithoutValidation("Content-Type", "application/json");
        var (status, _, text) = await Send(new HttpRequestMessage(HttpMethod.Post, "/api/v1/scheduler") { Content = content }, "alice:pw");
        Assert.Equal((400, "Failed to validate scheduler::Call: Authenticated principal 'alice' does not match principal 'bob' set in `FrameworkInfo`"), (status, text));
    }

    private async Task<(int Status, string? Challenge, string Text)> Send(HttpRequestMessage request, string? credentials)
    {
        request.RequestUri = new Uri($"http://127.0.0.1:{server.Port}{request.RequestUri}");
        if (credentials is not null)
            request.Headers.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)));
        using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode, answer.Headers.WwwAuthenticate.FirstOrDefault()?.ToString(), await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
