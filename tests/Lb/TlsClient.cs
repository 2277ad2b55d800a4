using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Declarative.Tests.Lb;

/// <summary>Clients of one TLS port of this machine, whatever name they ask for.</summary>
internal sealed class TlsClient : IDisposable
{
    private readonly int _port;
    private int _connections;

    /// <param name="root">Trusted alone; null = everything is.</param>
    public TlsClient(int port, X509Certificate2? root = null)
    {
        _port = port;
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, stop) =>
            {
                Interlocked.Increment(ref _connections);
                return await Connect(port, stop);
            },
        };
        if (root is null) handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
        else
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            policy.CustomTrustStore.Add(root);
            handler.SslOptions.CertificateChainPolicy = policy;
        }
        Http = new(handler);
    }

    public HttpClient Http { get; }

    /// <summary>That <see cref="Http"/> has opened.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>What a new connection is shown; the caller disposes the certificate.</summary>
    /// <param name="name">"" = none is sent.</param>
    public async Task<(X509Certificate2 Certificate, SslProtocols Version, SslApplicationProtocol Protocol)> Handshake(
        string name, SslProtocols versions = SslProtocols.None, params SslApplicationProtocol[] protocols)
    {
        await using var stream = new SslStream(await Connect(_port, CancellationToken.None), leaveInnerStreamOpen: false);
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = name,
            EnabledSslProtocols = versions,
            ApplicationProtocols = [.. protocols],
            RemoteCertificateValidationCallback = static (_, _, _, _) => true,
        });
        return (X509CertificateLoader.LoadCertificate(stream.RemoteCertificate!.GetRawCertData()), stream.SslProtocol, stream.NegotiatedApplicationProtocol);
    }

    /// <summary>The name in the certificate that a new connection is shown.</summary>
    public async Task<string> Subject(string name)
    {
        using var certificate = (await Handshake(name)).Certificate;
        return certificate.Subject["CN=".Length..];
    }

    public void Dispose() => Http.Dispose();

    private static async Task<NetworkStream> Connect(int port, CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), stop);
        return new(socket, ownsSocket: true);
    }
}
