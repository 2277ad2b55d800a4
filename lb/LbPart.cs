using Declarative.Api;
using Declarative.Lb.Acme;
using Declarative.Lb.Health;
using Declarative.Lb.Proxy;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Lb;

/// <summary>The balancer with its sockets: <see cref="LbRoutes"/> decides, the proxy carries it out.</summary>
public sealed class LbPart : IDisposable
{
    /// <summary>On a stop, requests in flight have this long to end.</summary>
    private static readonly TimeSpan LeaveAfter = TimeSpan.FromSeconds(5);

    private readonly LbOptions _options;
    private readonly ListenerSockets _sockets;
    private readonly HttpEdge _http;
    private readonly AccessLog? _log;
    private readonly PlainProxy? _plain;
    private readonly AcmePart? _acme;
    private bool _open;

    public LbPart(LbOptions options, ILoggerFactory? loggers = null)
    {
        loggers ??= NullLoggerFactory.Instance;
        _options = options;
        _sockets = new(options, () => Routes!.Table, loggers.CreateLogger("lb"));
        Routes = new(options, loggers)
        {
            Bind = _sockets.Bind,
            Unbind = _sockets.Unbind,
            Leave = Leave,
            Closed = destination => _plain?.Forget(destination),
            Start = Threads.Run,
            IngressPorts = ingress => [.. Shared(options.HttpPort), .. ingress.Spec.Tls.Count > 0 ? Shared(options.HttpsPort) : []],
        };
        if (options.AccessLog.Length > 0) _log = new(options.AccessLog, options.AccessLogLinesPerSecond);
        if (options.AcmeDirectory.Length > 0) _acme = new(options, loggers.CreateLogger("lb"));
        _http = new(options, Routes, context => Admin.Answer(context, Routes, _sockets), loggers) { Log = _log, Challenge = (host, path) => _acme?.Answer(host, path) };
        if (EventLoop.IsSupported) _plain = new(options, Routes, loggers.CreateLogger("lb")) { Log = _log, Certificate = _http.CertificateFor };
        (_sockets.Http, _sockets.Log, _sockets.Plain) = (_http, _log, _plain);
    }

    public LbRoutes Routes { get; }

    /// <summary>True once everything that was there at the start is routed and listened on.</summary>
    public bool IsReady => Routes.IsServing;

    /// <summary>Binds the shared ports, so that a port that is taken is known before anything else starts; <see cref="Run"/> does it where nobody has.</summary>
    /// <exception cref="IOException">A port cannot be listened on; the message names it and says why.</exception>
    public async Task Open(TimeProvider time, CancellationToken stop = default)
    {
        if (_open) return;
        if (_options.HttpsPort != 0) _http.DefaultCertificate = DefaultCertificate.Create(time.GetUtcNow());
        await _http.Start(stop);
        (int Port, ListenerTarget Target)[] shared =
        [
            (_options.HttpPort, ListenerTarget.Ingress), (_options.H2cPort, ListenerTarget.Ingress), (_options.HttpsPort, ListenerTarget.IngressTls), (_options.AdminPort, ListenerTarget.Admin),
        ];
        foreach (var (configured, target) in shared)
        {
            foreach (var port in Shared(configured))
            {
                if (_sockets.Open(new(_options.Address.ToString(), port), target) is { } failure) throw new IOException($"load balancer: {failure.Message}");
            }
        }
        _open = true;
    }

    /// <summary>Runs until stopped; then takes no new connections, lets requests in flight end for up to 5 s and deletes its TrafficReport.</summary>
    public async Task Run(IApi api, TimeProvider time, Random random, CancellationToken stop)
    {
        await Open(time, stop);
        var checks = new HealthChecks(() => Routes.Table).Run(stop);
        var certificates = _acme?.Run(api, time, new Random(random.Next()), stop) ?? Task.CompletedTask;
        await Routes.Run(api, time, random, stop);
        await checks;
        await certificates;
    }

    public void Dispose()
    {
        _http.Dispose();
        _plain?.Dispose();
    }

    /// <summary>The port where the balancer listens for this setting; none for 0.</summary>
    private IEnumerable<int> Shared(int port) => port == 0 ? [] : [port + _options.PortOffset];

    private async Task Leave(TimeProvider time)
    {
        using var atOnce = new CancellationTokenSource(LeaveAfter, time);
        await _sockets.StopAccepting();
        var drained = _sockets.Drain(atOnce.Token);
        await _http.Stop(atOnce.Token);
        await drained;
        if (_log is not null) await _log.DisposeAsync();
    }
}
