using System.Net.Http.Json;
using System.Text.Json;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Storage;
using Declarative.ApiServer.Storage.Etcd;
using Declarative.Tests.Lb;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>An etcd that wants a certificate, and one that wants a password.</summary>
public sealed class EtcdAccessTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("declarative-etcd-access-");

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Delete(recursive: true);

    [Fact]
    public async Task Certificates_are_held_against_the_given_authorities_both_ways()
    {
        EtcdServer.SkipUnlessInstalled();
        using var authority = new TestAuthority();
        using var stranger = new TestAuthority();
        var ca = Write("ca.pem", authority.Root.ExportCertificatePem());
        var (certificate, key) = authority.Issue("localhost");
        var (own, ownKey) = (Write("server.pem", certificate), Write("server.key", key));
        await using var etcd = new EtcdServer { Scheme = "https", Arguments = ["--cert-file", own, "--key-file", ownKey, "--trusted-ca-file", ca, "--client-cert-auth"] };
        await etcd.Start();
        var options = new EtcdOptions([new($"https://localhost:{etcd.Url.Port}")]) { CaFile = ca, CertificateFile = own, KeyFile = ownKey };

        await using (var journal = await etcd.Journal(options))
        {
            await journal.Load(Stop);
            await journal.Append([new(2, new(Kind.ConfigMap, "default", "a"), "u", "{\"metadata\":{}}"u8.ToArray())], Stop);
            Assert.Equal(2, await journal.NewestRevision(Stop));
        }
        await Assert.ThrowsAsync<JournalException>(() => etcd.Journal(options with { CertificateFile = "", KeyFile = "" }));
        var refused = await Assert.ThrowsAsync<JournalException>(() => etcd.Journal(options with { CaFile = Write("other.pem", stranger.Root.ExportCertificatePem()) }));
        Assert.Contains("certificate", refused.Message, StringComparison.Ordinal);
        refused = await Assert.ThrowsAsync<JournalException>(() => etcd.Journal(options with { CaFile = Write("none.pem", "nothing") }));
        Assert.Contains("none.pem: has no certificate", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_is_let_in_by_password_and_again_when_etcd_has_forgotten_the_token()
    {
        EtcdServer.SkipUnlessInstalled();
        await using var etcd = new EtcdServer();
        await etcd.Start();
        using var http = new HttpClient { BaseAddress = etcd.Url };
        await Gateway("auth/user/add", new { name = "root", password = "let me:in" });
        await Gateway("auth/user/grant", new { user = "root", role = "root" });
        await Gateway("auth/enable", new { });

        var refused = await Assert.ThrowsAsync<JournalException>(() => etcd.Journal(etcd.Options()));
        Assert.Contains("user name is empty", refused.Message, StringComparison.Ordinal);
        refused = await Assert.ThrowsAsync<JournalException>(() => etcd.Journal(etcd.Options() with { UserFile = Write("wrong", "root:no") }));
        Assert.Contains("authentication failed", refused.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("root:no", refused.Message, StringComparison.Ordinal);

        await using var journal = await etcd.Journal(etcd.Options() with { UserFile = Write("user", "root:let me:in\n") });
        await journal.Load(Stop);
        await journal.Append([new(2, new(Kind.ConfigMap, "default", "a"), "u", "{\"metadata\":{}}"u8.ToArray())], Stop);
        // Tokens are in the memory of the etcd that gave them.
        await etcd.Kill();
        await etcd.Start();
        await journal.Append([new(3, new(Kind.ConfigMap, "default", "a"), "u", "{\"metadata\":{}}"u8.ToArray())], Stop);
        Assert.Equal(3, await journal.NewestRevision(Stop));

        async Task Gateway(string path, object body)
        {
            for (var tries = 0; ; tries++)
            {
                using var answer = await http.PostAsJsonAsync("/v3/" + path, body, Stop);
                if (answer.IsSuccessStatusCode) return;
                // It listens before it has a leader.
                Assert.True(tries < 50, JsonSerializer.Serialize(await answer.Content.ReadAsStringAsync(Stop)));
                await Task.Delay(100, Stop);
            }
        }
    }

    [Theory]
    [InlineData("https://a:2379, http://127.0.0.1:2379", "https://a:2379/ http://127.0.0.1:2379/")]
    [InlineData("a:2379", null)]
    [InlineData("https://a:2379/path", null)]
    [InlineData(",", null)]
    public void Endpoints_are_read_or_named(string text, string? endpoints)
    {
        if (endpoints is not null) Assert.Equal(endpoints, string.Join(' ', EtcdOptions.ParseEndpoints(text)));
        else Assert.Contains("https://HOST:PORT", Assert.Throws<FormatException>(() => EtcdOptions.ParseEndpoints(text)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Etcd_forgets_by_age_and_by_count()
    {
        var options = new EtcdOptions([]) { KeptFor = TimeSpan.FromMinutes(5), RevisionsKeptMax = 1000 };
        var compaction = new EtcdCompaction(null!, options, () => 0, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        var start = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Null(compaction.Through(start, 10));
        Assert.Null(compaction.Through(start.AddMinutes(4), 500));
        Assert.Equal(10, compaction.Through(start.AddMinutes(5), 600));
        Assert.Null(compaction.Through(start.AddMinutes(6), 700));
        Assert.Equal(4000, compaction.Through(start.AddMinutes(7), 5000));
        Assert.Equal(5000, compaction.Through(start.AddMinutes(12), 5001));
    }

    private string Write(string name, string text)
    {
        var path = Path.Combine(_directory.FullName, name);
        File.WriteAllText(path, text);
        return path;
    }
}
