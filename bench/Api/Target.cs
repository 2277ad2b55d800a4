using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Declarative.Bench.Api;

/// <summary>The server under load: where it is, who we are, and what it has used so far (from its <c>/metrics</c>).</summary>
internal sealed class Target : IDisposable
{
    private readonly Uri _server;
    private readonly HttpClient _client;

    private Target(Uri server, X509Certificate2 certificate, byte[] key)
    {
        Key = key;
        Host = server.Host;
        Port = server.Port;
        Certificate = certificate;
        _server = server;
        _client = NewClient();
    }

    /// <summary>With connections of its own; the caller disposes it.</summary>
    public HttpClient NewClient()
    {
        var handler = new SocketsHttpHandler { AutomaticDecompression = DecompressionMethods.None };
        handler.SslOptions.ClientCertificates = [Certificate];
        handler.SslOptions.RemoteCertificateValidationCallback = (_, _, _, _) => true;
        return new HttpClient(handler) { BaseAddress = _server };
    }

    public string Host { get; }
    public int Port { get; }
    public X509Certificate2 Certificate { get; }

    /// <summary>The certificate's key in DER.</summary>
    public byte[] Key { get; }

    /// <summary>Reads a kubeconfig that this server wrote (embedded certificate and key).</summary>
    public static Target Read(string kubeconfig)
    {
        var fields = File.ReadLines(kubeconfig).Select(x => x.Trim().Split(": ", 2)).Where(x => x.Length == 2).GroupBy(x => x[0]).ToDictionary(x => x.Key, x => x.First()[1]);
        using var pem = X509Certificate2.CreateFromPem(Pem("client-certificate-data"), Pem("client-key-data"));
        var key = Pem("client-key-data");
        return new(new Uri(fields["server"]), X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null), Convert.FromBase64String(key[PemEncoding.Find(key).Base64Data]));

        string Pem(string field) => Encoding.UTF8.GetString(Convert.FromBase64String(fields[field]));
    }

    public async Task<(double CpuSeconds, double ResidentMiB)> Used()
    {
        var lines = (await _client.GetStringAsync("/metrics")).Split('\n');
        return (Value("process_cpu_seconds_total"), Value("process_resident_memory_bytes") / 1048576);

        double Value(string name) => double.Parse(lines.First(x => x.StartsWith(name + " ", StringComparison.Ordinal)).AsSpan(name.Length + 1), CultureInfo.InvariantCulture);
    }

    /// <summary>Waits until the server has nothing to do any more, such as compiling what a warm-up has made hot; 10 s at most.</summary>
    public async Task Quiet()
    {
        var before = await Used();
        for (var looks = 0; looks < 20; looks++)
        {
            await Task.Delay(500);
            var now = await Used();
            if (now.CpuSeconds - before.CpuSeconds < 0.025) return;
            before = now;
        }
    }

    public async Task<string> Send(HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await _client.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.IsSuccessStatusCode ? text : throw new HttpRequestException($"{method} {path}: {(int)answer.StatusCode} {text}");
    }

    public void Dispose()
    {
        _client.Dispose();
        Certificate.Dispose();
    }
}
