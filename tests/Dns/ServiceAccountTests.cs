using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Declarative.Dns;
using Declarative.Mesos.Scheduler.Http;
using Xunit;

namespace Declarative.Tests.Dns;

/// <summary>A DC/OS service account (Mesos-DNS' <c>mesosAuthentication: iam</c>) before a master and a login of the tests that check each step.</summary>
public sealed class ServiceAccountTests : IDisposable
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly RSA _key = RSA.Create(2048);

    [Fact]
    public async Task The_state_is_read_with_the_token_of_a_login_and_a_new_one_when_that_is_refused()
    {
        using var dcos = new Dcos(_key);
        var options = MesosDnsConfig.Load(Config(dcos.Port)).Options(new DnsOptions());
        Assert.Equal("dns-account", options.Mesos!.Access.Account!.Uid);
        using var client = new HttpClient(options.Mesos.Access.Handler(4));
        for (var i = 0; i < 3; i++) Assert.Equal("{}", await client.GetStringAsync($"http://127.0.0.1:{dcos.Port}/master/state", Stop));
        Assert.Equal(1, dcos.Logins);
        dcos.Expire();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => client.GetStringAsync($"http://127.0.0.1:{dcos.Port}/master/state", Stop)));
        Assert.All(answers, x => Assert.Equal("{}", x));
        Assert.Equal(2, dcos.Logins);
    }

    [Fact]
    public async Task A_login_that_is_refused_is_named_without_the_key()
    {
        using var other = RSA.Create(2048);
        using var dcos = new Dcos(other);
        using var client = new HttpClient(MesosDnsConfig.Load(Config(dcos.Port)).Options(new DnsOptions()).Mesos!.Access.Handler(4));
        var refused = await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync($"http://127.0.0.1:{dcos.Port}/master/state", Stop));
        Assert.Equal($"http://127.0.0.1:{dcos.Port}/login refused the login of dns-account: 401", refused.Message);
    }

    [Theory]
    [InlineData("""{"secret": "x", "login_endpoint": "http://a/"}""", "uid: found nothing")]
    [InlineData("""{"uid": "a", "secret": "x", "login_endpoint": "nowhere"}""", "login_endpoint: expected an http or https URL")]
    [InlineData("""{"uid": "a", "secret": "hush", "login_endpoint": "http://a/"}""", "secret: expected the PEM of an RSA private key")]
    [InlineData("[]", "expected {\"uid\"")]
    [InlineData("{", "iam.json: ")]
    public async Task Files_that_hold_no_account_are_refused_without_the_key(string json, string reason)
    {
        var file = Path.Combine(_folder.FullName, "iam.json");
        await File.WriteAllTextAsync(file, json, Stop);
        var wrong = Assert.Throws<FormatException>(() => ServiceAccount.Load(file));
        Assert.Contains(reason, wrong.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hush", wrong.ToString(), StringComparison.Ordinal);
    }

    private string Config(int port)
    {
        var account = Path.Combine(_folder.FullName, "iam.json");
        File.WriteAllText(account, JsonSerializer.Serialize(new { uid = "dns-account", secret = _key.ExportRSAPrivateKeyPem(), login_endpoint = $"http://127.0.0.1:{port}/login" }));
        var config = Path.Combine(_folder.FullName, "config.json");
        File.WriteAllText(config, JsonSerializer.Serialize(new { masters = (string[])[$"127.0.0.1:{port}"], resolvers = Array.Empty<string>(), mesosAuthentication = "iam", IAMConfigFile = account }));
        return config;
    }

    public void Dispose()
    {
        _key.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>A login that gives tokens for what the account's key has signed, and a master that lets only the last token in.</summary>
    private sealed class Dcos : IDisposable
    {
        private readonly HttpListener _listener;
        private readonly RSA _account;
        private readonly Task _serving;
        private string _token = "none";
        private int _logins;

        public Dcos(RSA account)
        {
            _account = account;
            for (Port = 22000 + Environment.ProcessId % 20000; ; Port++)
            {
                _listener = new();
                _listener.Prefixes.Add($"http://127.0.0.1:{Port}/");
                try
                {
                    _listener.Start();
                    break;
                }
                catch (HttpListenerException)
                {
                    _listener.Close();
                }
            }
            _serving = Serve();
        }

        public int Port { get; }

        public int Logins => Volatile.Read(ref _logins);

        public void Expire() => Volatile.Write(ref _token, "none");

        public void Dispose()
        {
            _listener.Close();
            _serving.Wait(TimeSpan.FromSeconds(60));
        }

        private async Task Serve()
        {
            while (true)
            {
                HttpListenerContext context;
                try
                {
                    context = await _listener.GetContextAsync();
                }
                catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
                {
                    return; // closed
                }
                var (code, body) = context.Request.Url!.AbsolutePath == "/login" ? await Login(context.Request)
                    : context.Request.Headers["Authorization"] == "token=" + Volatile.Read(ref _token) ? (200, "{}") : (401, "");
                context.Response.StatusCode = code;
                // A refusal has no body: the client closes its connection without reading it.
                context.Response.ContentLength64 = body.Length;
                if (body.Length > 0) await context.Response.OutputStream.WriteAsync(Encoding.UTF8.GetBytes(body));
                context.Response.Close();
            }
        }

        private async Task<(int, string)> Login(HttpListenerRequest request)
        {
            using var body = await JsonDocument.ParseAsync(request.InputStream);
            var uid = body.RootElement.GetProperty("uid").GetString();
            var parts = body.RootElement.GetProperty("token").GetString()!.Split('.');
            if (!_account.VerifyData(Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), Base64Url.DecodeFromChars(parts[2]), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)) return (401, "");
            using var claims = JsonDocument.Parse(Base64Url.DecodeFromChars(parts[1]));
            if (claims.RootElement.GetProperty("uid").GetString() != uid || claims.RootElement.GetProperty("exp").GetInt64() < DateTimeOffset.UtcNow.ToUnixTimeSeconds()) return (401, "");
            Volatile.Write(ref _token, $"t{Interlocked.Increment(ref _logins)}");
            return (200, JsonSerializer.Serialize(new { token = _token }));
        }
    }
}
