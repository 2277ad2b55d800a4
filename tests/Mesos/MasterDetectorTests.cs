using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Declarative.Mesos.Scheduler.ZooKeeper;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;
using Xunit;
using Call = Declarative.Mesos.Protocol.SchedulerApi.Call;

namespace Declarative.Tests.Mesos;

/// <summary>How masters are named, found and spoken to.</summary>
public class MasterDetectorTests
{
    [Theory]
    [InlineData("zk://a/mesos", "zk://a:2181/mesos", "")]
    [InlineData("zk://a:2182,[::1]:2183,c/x/y/", "zk://a:2182,[::1]:2183,c:2181/x/y", "")]
    [InlineData("zk://me:p@ss:w@a/mesos", "zk://a:2181/mesos", "me:p@ss:w")]
    public void ZooKeeper_is_named_as_in_Mesos_flags(string text, string shown, string credential)
    {
        var address = ZooKeeperAddress.Parse(text);
        Assert.Equal(shown, address.ToString());
        Assert.Equal(credential, address.Credential);
    }

    [Theory]
    [InlineData("zk://a", "\"zk://a\": the path is missing; expected zk://[USER:PASSWORD@]HOST1[:2181],HOST2[:2181]/PATH")]
    [InlineData("zk://a:x/mesos", "\"zk://a:x/mesos\": \"a:x\" is no server;")]
    [InlineData("zk://me:secret@a:70000/mesos", "\"zk://…@a:70000/mesos\": \"a:70000\" is no server;")]
    [InlineData("mesos.example:5050", "\"mesos.example:5050\": expected http://HOST:PORT, zk://HOST1:2181,HOST2:2181/mesos or file:///PATH")]
    [InlineData("http://a:5050/x", "expected http://HOST:PORT")]
    public void What_is_no_master_is_named(string text, string error)
    {
        var wrong = Assert.Throws<FormatException>(() => MasterDetector.Of([text], https: false, TimeProvider.System));
        Assert.Contains(error, wrong.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", wrong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_and_files_of_masters_are_tried_in_turn()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "# masters\nhttp://a:5050, http://b:5050\n", TestContext.Current.CancellationToken);
            await using var detector = MasterDetector.Of([$"file://{file}", "http://c:5050"], https: false, TimeProvider.System);
            var seen = new List<string>();
            for (var i = 0; i < 4; i++)
            {
                var leader = await detector.Leader(TestContext.Current.CancellationToken);
                seen.Add(leader.Host);
                detector.Failed(leader);
                detector.Failed(new Uri("http://elsewhere:1")); // of another client: this one is not tried yet
            }
            Assert.Equal(["a", "b", "c", "a"], seen);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("s3cret", "me", "me")]
    [InlineData("me s3cret", "", "me")]
    [InlineData("{\"principal\":\"me\",\"secret\":\"s3cret\"}", "me", "me")]
    public async Task The_secret_comes_from_a_file_and_is_sent_with_each_request(string content, string given, string principal)
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, content, TestContext.Current.CancellationToken);
            var access = new MasterAccess().WithSecretOf(file, given);
            Assert.DoesNotContain("s3cret", access.ToString(), StringComparison.Ordinal);
            var seen = new List<string>();
            await using var master = await Serve(context =>
            {
                seen.Add(context.Request.Headers.Authorization.ToString());
                context.Response.StatusCode = 401;
                return context.Response.WriteAsync("no");
            });
            using var client = new HttpMaster(new() { Masters = new MasterList(master.Urls.Single()), Access = access }, TimeProvider.System);
            var refused = await Assert.ThrowsAsync<CallRefused>(() => First(client));
            Assert.Equal(401, refused.Status);
            Assert.Equal([$"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"{principal}:s3cret"))}"], seen);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Credentials_without_secret_or_of_another_principal_are_refused()
    {
        var file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "me s3cret", TestContext.Current.CancellationToken);
            Assert.Equal($"{file}: is of principal me, but you is given", Assert.Throws<FormatException>(() => new MasterAccess().WithSecretOf(file, "you")).Message);
            await File.WriteAllTextAsync(file, "s3cret", TestContext.Current.CancellationToken);
            Assert.Equal($"{file}: names no principal, and none is given", Assert.Throws<FormatException>(() => new MasterAccess().WithSecretOf(file)).Message);
            await File.WriteAllTextAsync(file, "me s3cret too", TestContext.Current.CancellationToken);
            Assert.Equal($"{file}: expected a secret alone or PRINCIPAL SECRET, found 3 words", Assert.Throws<FormatException>(() => new MasterAccess().WithSecretOf(file)).Message);
            await File.WriteAllTextAsync(file, "{\"principal\":\"me\"}", TestContext.Current.CancellationToken);
            Assert.Equal($"{file}: expected a text 'secret'", Assert.Throws<FormatException>(() => new MasterAccess().WithSecretOf(file)).Message);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Certificates_are_checked_against_the_CA_and_the_own_one_is_shown()
    {
        var directory = Directory.CreateTempSubdirectory("declarative-tls-");
        try
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var now = DateTimeOffset.UtcNow;
            var authority = new CertificateRequest("CN=mesos-ca", key, HashAlgorithmName.SHA256);
            authority.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            using var ca = authority.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
            using var server = Issue(ca, "CN=master", now);
            using var mine = Issue(ca, "CN=placement", now);
            string Write(string name, string pem)
            {
                var path = Path.Combine(directory.FullName, name);
                File.WriteAllText(path, pem);
                return path;
            }
            var (caFile, certificate, keyFile) = (Write("ca.pem", ca.ExportCertificatePem()), Write("cert.pem", mine.ExportCertificatePem()), Write("key.pem", mine.GetECDsaPrivateKey()!.ExportPkcs8PrivateKeyPem()));
            var shown = new List<string>();
            await using var master = await Serve(context =>
            {
                shown.Add(context.Connection.ClientCertificate?.Subject ?? "none");
                context.Response.StatusCode = 401;
                return Task.CompletedTask;
            }, server);
            using (var client = new HttpMaster(new() { Masters = new MasterList(master.Urls.Single()), Access = new() { CaFile = caFile, CertificateFile = certificate, KeyFile = keyFile } }, TimeProvider.System))
            {
                await Assert.ThrowsAsync<CallRefused>(() => First(client));
            }
            Assert.Equal(["CN=placement"], shown);
            using (var client = new HttpMaster(new() { Masters = new MasterList(master.Urls.Single()) }, TimeProvider.System))
            {
                await Assert.ThrowsAsync<MasterUnavailable>(() => First(client)); // nobody vouches for that certificate
            }
        }
        finally
        {
            directory.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task Large_calls_are_sent_gzipped()
    {
        await using var world = new MasterWorld();
        await using var server = await Declarative.Mesos.Mini.Http.MasterServer.Start(new(IPAddress.Loopback, 0), _ => world.Master, TestContext.Current.CancellationToken);
        using var client = new HttpMaster(new() { Masters = new MasterList($"http://127.0.0.1:{server.Port}"), GzipBytesMin = 1 }, TimeProvider.System);
        await using var framework = new TestFramework(world, client);
        await framework.Subscribe();
        Assert.NotNull(framework.Id);
        await framework.Send(Call.Types.Type.Revive);
    }

    private static X509Certificate2 Issue(X509Certificate2 ca, string subject, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(subject, key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(ca, now.AddHours(-1), now.AddHours(1), RandomNumberGenerator.GetBytes(8));
        using var whole = issued.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(whole.Export(X509ContentType.Pkcs12), null, X509KeyStorageFlags.Exportable);
    }

    private static async Task<WebApplication> Serve(RequestDelegate answer, X509Certificate2? certificate = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            if (certificate is not null) listen.UseHttps(new HttpsConnectionAdapterOptions { ServerCertificate = certificate, ClientCertificateMode = ClientCertificateMode.AllowCertificate, ClientCertificateValidation = (_, _, _) => true });
        }));
        var app = builder.Build();
        app.Run(answer);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    private static async Task First(HttpMaster client)
    {
        await foreach (var _ in client.Subscribe(new() { FrameworkInfo = new() { User = "u", Name = "n" } }, null, TestContext.Current.CancellationToken)) return;
    }
}
