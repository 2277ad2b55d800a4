using System.Net;
using System.Text;
using Declarative.Tests.EndToEnd;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>Who may speak with what <c>declarative mesos</c> starts: <c>--credentials</c> for the master, <c>--jwt-secret-key</c> for the agents' executors.</summary>
[Collection(EndToEndTests.Name)]
public sealed class MesosOptionTests
{
    [Fact]
    public Task Only_principals_of_the_file_speak_with_the_master_and_only_known_executors_with_the_agent() => RunningPlatform.With(async platform =>
    {
        var (credentials, key) = (Path.Combine(platform.Data, "credentials"), Path.Combine(platform.Data, "key"));
        await File.WriteAllTextAsync(credentials, "alice pw\nbob pw2\n");
        await File.WriteAllTextAsync(key, "a key of these agents");
        var mesos = platform.Start(["mesos", "--data", platform.Data, "--port-offset", platform.Offset, "--credentials", credentials, "--jwt-secret-key", key]);
        await RunningPlatform.Until(() => mesos.Output.Contains("Mesos master at", StringComparison.Ordinal) || mesos.HasExited, "the master says where it is");
        Assert.False(mesos.HasExited, mesos.Errors);

        var master = new Uri($"http://127.0.0.1:{platform.Ports.Master}");
        Assert.Equal(HttpStatusCode.OK, await Get(new(master, "/health"), null));
        Assert.Equal(HttpStatusCode.Unauthorized, await Get(new(master, "/state"), null));
        Assert.Equal(HttpStatusCode.Unauthorized, await Get(new(master, "/state"), "alice:pw2"));
        Assert.Equal(HttpStatusCode.OK, await Get(new(master, "/state"), "alice:pw"));
        Assert.Equal(HttpStatusCode.OK, await Get(new(master, "/state"), "bob:pw2"));

        // Without the key an executor that nobody knows would be told that.
        using var http = new HttpClient();
        using var content = new ByteArrayContent("""{"type":"HEARTBEAT","framework_id":{"value":"F"},"executor_id":{"value":"e"}}"""u8.ToArray()) { Headers = { ContentType = new("application/json") } };
        using var answer = await http.PostAsync(new Uri($"http://127.0.0.1:{platform.Ports.FirstAgent}/api/v1/executor"), content, TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.Unauthorized, "Bearer realm=\"mesos-agent-executor\""), (answer.StatusCode, answer.Headers.WwwAuthenticate.ToString()));
    });

    [Theory]
    [InlineData("--credentials", null, "no-such-file")]
    [InlineData("--credentials", """{"credentials": [{"principal": "alice"}]}""", "credentials[0]: expected a text 'secret'")]
    [InlineData("--jwt-secret-key", null, "no-such-file")]
    [InlineData("--jwt-secret-key", "", "is empty")]
    public async Task A_file_that_cannot_be_is_said_with_its_option(string option, string? text, string why)
    {
        Installation.Require();
        var folder = Directory.CreateTempSubdirectory("declarative-mesos-").FullName;
        try
        {
            var file = Path.Combine(folder, text is null ? "no-such-file" : "file");
            if (text is not null) await File.WriteAllTextAsync(file, text, TestContext.Current.CancellationToken);
            var said = await RunningPlatform.Run("mesos", "--data", folder, option, file);
            Assert.Equal(2, said.Code);
            Assert.StartsWith($"declarative: {option}: ", said.Errors, StringComparison.Ordinal);
            Assert.Contains(why, said.Errors, StringComparison.Ordinal);
            Assert.False(Directory.Exists(Path.Combine(folder, "mesos")), "nothing is begun");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<HttpStatusCode> Get(Uri url, string? account)
    {
        using var http = new HttpClient();
        if (account is not null) http.DefaultRequestHeaders.Authorization = new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(account)));
        using var answer = await http.GetAsync(url, TestContext.Current.CancellationToken);
        return answer.StatusCode;
    }
}
