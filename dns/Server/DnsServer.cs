using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>All sockets of the DNS role: bound first, so that a taken port is known before anything starts, then served.</summary>
internal sealed class DnsServer : IAsyncDisposable
{
    private readonly DnsOptions _options;
    private readonly DnsZones _zones;
    private readonly ILogger _logger;
    private readonly ServerParts _parts;
    private readonly TcpListeners _tcp;
    private readonly List<DnsSockets> _sockets = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<Task> _running = [];
    private X509Certificate2? _certificate;
    private Socket? _tls;
    private HttpApi? _http;
    private HttpApi? _https;
    private bool _started;
    private bool _closed;

    public DnsServer(DnsOptions options, DnsZones zones, ILogger logger)
    {
        (_options, _zones, _logger) = (options, zones, logger);
        _parts = new ServerParts(options, TimeProvider.System);
        _tcp = new TcpListeners(zones, _parts, logger);
    }

    /// <summary>Where UDP and TCP are answered; the port that was taken where 0 was asked for. Where DNS is not answered: where it would be.</summary>
    public IPEndPoint Address => _sockets.Count > 0 ? _sockets[0].Address : _options.Listen;

    /// <summary>The cluster address; null where it could not be bound.</summary>
    public IPEndPoint? ClusterAddress => _sockets.Count > 1 ? _sockets[1].Address : null;

    /// <summary>DNS over TLS; null: not offered.</summary>
    public IPEndPoint? TlsAddress => (IPEndPoint?)_tls?.LocalEndPoint;

    public string? HttpAddress => _http?.Address;

    /// <summary>DNS over HTTPS; null: not offered.</summary>
    public string? HttpsAddress => _https?.Address;

    /// <summary>Only the first call does anything.</summary>
    /// <exception cref="IOException">An address cannot be bound or the certificate cannot be read; the message says which and why.</exception>
    public async Task Start()
    {
        if (_started)
            return;
        _started = true;
        _certificate = _options.Tls is { } tls ? Certificate(tls) : null;
        if (_options.AnswersDns)
            _sockets.Add(Bind(_options.Listen, () => DnsSockets.Bind(_options.Listen, _options.UdpThreads)));
        if (_options is { AnswersDns: true, ClusterListen: { } cluster })
        {
            try
            {
                _sockets.Add(DnsSockets.Bind(cluster, 1));
            }
            catch (SocketException e)
            {
                Log.NotOnClusterAddress(_logger, cluster, e.Message, Address);
            }
        }
        if (_options.Tls?.Listen is { } secure)
            _tls = Bind(secure, () => BindTcp(secure));
        var answers = new HttpAnswers(_zones, _options, Metrics);
        var foreign = _parts.Forwarder is { } forwarder ? new ForeignQuestions(forwarder, _logger) : null;
        var queries = new HttpQueries(_zones, _parts, foreign, _logger);
        if (_options.Http is { } http)
            _http = await Bind(http, () => HttpApi.Start(http, null, answers, null, _zones, _logger));
        if (_options.Tls?.Https is { } https)
            _https = await Bind(https, () => HttpApi.Start(https, _certificate, answers, queries, _zones, _logger));
        foreach (var bound in _sockets)
        {
            bound.Start(_zones, _parts, _logger);
            _running.Add(_tcp.Run(bound.Tcp, null, _stopping.Token));
            Log.Listening(_logger, bound.Address);
        }
        if (_tls is not null)
        {
            _running.Add(_tcp.Run(_tls, Authentication(_certificate!), _stopping.Token));
            Log.TlsListening(_logger, TlsAddress!);
        }
        _running.Add(new Notifier(_options.Notify, _zones, TimeProvider.System, _logger).Run(_stopping.Token));
        foreach (var api in new[] { _http, _https }.OfType<HttpApi>())
            Log.HttpListening(_logger, api.Address);
    }

    public DnsMetrics Metrics()
    {
        var (udp, streams) = (new Counters(), new Counters());
        foreach (var loop in _sockets.SelectMany(s => s.Loops))
            udp.Add(loop.Counters);
        _tcp.AddTo(streams);
        return new DnsMetrics(udp, streams, _tcp.Open, _tcp.Refused, _zones, _parts.Forwarder);
    }

    public async ValueTask DisposeAsync()
    {
        if (_closed)
            return;
        _closed = true;
        await _stopping.CancelAsync();
        foreach (var bound in _sockets)
            bound.Dispose();
        _tls?.Dispose();
        await Task.WhenAll(_running);
        if (_http is not null)
            await _http.DisposeAsync();
        if (_https is not null)
            await _https.DisposeAsync();
        _certificate?.Dispose();
        _stopping.Dispose();
    }

    private static T Bind<T>(IPEndPoint address, Func<T> bind)
    {
        try
        {
            return bind();
        }
        catch (SocketException e)
        {
            throw new IOException($"dns: cannot listen on {address}: {e.Message}", e);
        }
    }

    private static async Task<HttpApi> Bind(IPEndPoint address, Func<Task<HttpApi>> start)
    {
        try
        {
            return await start();
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new IOException($"dns: cannot listen on {address} for HTTP: {e.Message}", e);
        }
    }

    private static Socket BindTcp(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(address);
            socket.Listen(128);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static X509Certificate2 Certificate(TlsOptions tls)
    {
        try
        {
            return X509Certificate2.CreateFromPemFile(tls.CertificateFile, tls.KeyFile);
        }
        catch (Exception e) when (e is CryptographicException or UnauthorizedAccessException)
        {
            throw new IOException($"dns: {tls.CertificateFile} and {tls.KeyFile} are no certificate with its key: {e.Message}", e);
        }
    }

    private static SslServerAuthenticationOptions Authentication(X509Certificate2 certificate) => new()
    {
        ServerCertificate = certificate,
        EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
        ApplicationProtocols = [new SslApplicationProtocol("dot")],
    };
}
