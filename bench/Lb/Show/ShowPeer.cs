using System.Globalization;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Bench.Lb.Show;

/// <summary>
/// HAProxy for the same Service, told of it in marathon-lb's way: every change of a Service, an Ingress or a slice writes its file again and reloads it
/// (master and workers; old workers live as long as their connections). Changes that come while it reloads are one reload.
/// </summary>
internal sealed class ShowPeer : IDisposable
{
    /// <summary>A worker that is told to end before it has begun is killed by it, with its connections: on a busy machine that takes part of a second.</summary>
    private static readonly TimeSpan ReloadsApart = TimeSpan.FromSeconds(1);

    private readonly Folder _folder = new();
    private readonly IApi _api;
    private readonly string _service;
    private readonly Child _haproxy;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _changed = new(0);
    private readonly List<Task> _loops = [];
    private readonly string _file;

    private ShowPeer(IApi api, string service, string first, int web, int talk)
    {
        (_api, _service, Web, Talk) = (api, service, web, talk);
        _file = _folder.Write("haproxy.cfg", first);
        _haproxy = Child.Start("haproxy", ["-W", "-q", "-f", _file]);
        Target.WaitFor(web, _haproxy, "haproxy");
    }

    public int Web { get; }
    public int Talk { get; }
    public int Reloads { get; private set; }

    public static async Task<ShowPeer> Start(IApi api, string service)
    {
        var (web, talk) = (Target.FreePort(), Target.FreePort());
        var peer = new ShowPeer(api, service, await Config(api, service, web, talk), web, talk);
        foreach (var kind in (Kind[])[Kind.Service, Kind.Ingress, Kind.EndpointSlice]) peer._loops.Add(Task.Run(() => peer.Watch(kind)));
        peer._loops.Add(Task.Run(peer.Reload));
        return peer;
    }

    public async Task Stop()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_loops);
    }

    public void Dispose()
    {
        _haproxy.Dispose();
        _folder.Dispose();
        _stop.Dispose();
        _changed.Dispose();
    }

    private async Task Watch(Kind kind)
    {
        try
        {
            while (!_stop.IsCancellationRequested)
            {
                var from = (await _api.List(new(kind), _stop.Token)).Revision;
                await foreach (var change in _api.Watch(new(kind) { From = from }, _stop.Token))
                {
                    if (change.Object is not null) _changed.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            return; // the show is over
        }
    }

    private async Task Reload()
    {
        try
        {
            while (true)
            {
                await _changed.WaitAsync(_stop.Token);
                while (_changed.Wait(0))
                {
                    // All that has come by now is in what is read next.
                }
                _folder.Write("haproxy.cfg", await Config(_api, _service, Web, Talk));
                _haproxy.Signal(12); // SIGUSR2
                Reloads++;
                await Task.Delay(ReloadsApart, _stop.Token);
            }
        }
        catch (OperationCanceledException)
        {
            return; // the show is over
        }
    }

    private static async Task<string> Config(IApi api, string service, int web, int talk)
    {
        var slices = (await api.List(new(Kind.EndpointSlice, "default"))).Items.Select(x => EndpointSlice.Read(x.Json)).Where(x => x.ServiceName == service).ToList();
        return $"""
            global
                maxconn 8000
                stats socket unix@/tmp/declarative-show-{web.ToString(CultureInfo.InvariantCulture)}.sock mode 600 expose-fd listeners
            defaults
                mode http
                retries 3
                option redispatch
                timeout connect 3s
                timeout client 1h
                timeout server 1h
                timeout tunnel 1h
            listen web
                bind 127.0.0.1:{web}
            {Servers("web", "")}
            listen talk
                bind 127.0.0.1:{talk} proto h2
            {Servers("talk", " proto h2")}

            """;

        string Servers(string port, string more) => string.Join('\n', from slice in slices
            from at in slice.Ports
            where at.Name == port
            from endpoint in slice.Endpoints
            where endpoint.Conditions.IsReady && !endpoint.Conditions.IsTerminating
            select string.Create(CultureInfo.InvariantCulture, $"    server s{at.Port} {endpoint.Addresses[0]}:{at.Port}{more}"));
    }
}
