using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Lb;
using Declarative.Tests.ApiServer;
using Declarative.Tests.Client;
using Microsoft.Extensions.Logging;

namespace Declarative.Tests.Lb;

/// <summary>An API server and a balancer with its sockets, as <c>up</c> runs them; the test plays the controllers.</summary>
internal sealed class LbWorld : IAsyncDisposable
{
    private static readonly HashSet<int> Given = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<IAsyncDisposable> _owned = [];
    private Task _running = Task.CompletedTask;

    public InProcessApi Server { get; private init; } = null!;
    public LbPart Lb { get; private init; } = null!;
    public LbOptions Options { get; private init; } = null!;
    public HttpClient Http { get; } = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, UseCookies = false, PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1) });
    public IApi Api => Server.Admin;

    public static async Task<LbWorld> Start(Func<LbOptions, LbOptions>? with = null, IReadOnlyDictionary<int, string>? platformPorts = null, ILoggerFactory? loggers = null, TimeProvider? time = null)
    {
        var options = new LbOptions { Id = "test", HttpPort = FreePort(), H2cPort = FreePort(), HttpsPort = FreePort(), AdminPort = FreePort(), PlatformPorts = platformPorts ?? new Dictionary<int, string>() };
        if (with is not null) options = with(options);
        // Worlds run side by side: each has node ports of its own.
        var first = FreePort();
        var server = await Task.Run(() => InProcessApi.Start(options: new() { ServiceNodePortRange = (first, first + 7), Authorize = new Declarative.ApiServer.Authorization.Authorizer().Check }));
        var world = new LbWorld { Server = server, Options = options, Lb = new(options, loggers) };
        // On the thread pool, as in `up`, and not on the test runner's few threads.
        world._running = Task.Run(() => world.Lb.Run(server.Server.As(User.Lb), time ?? TimeProvider.System, new Random(1), world._stop.Token));
        await Eventually.True(() => world.Lb.IsReady || world._running.IsCompleted, "the balancer is ready");
        if (world._running.IsCompleted) await world._running;
        return world;
    }

    public async Task<Backend> Backend(string name, Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols protocols = Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1)
    {
        var backend = await Declarative.Tests.Lb.Backend.Start(name, protocols);
        _owned.Add(backend);
        return backend;
    }

    /// <summary>A port that nothing listens on, outside the range that the kernel gives to clients.</summary>
    public static int FreePort()
    {
        while (true)
        {
            var port = 20_000 + Random.Shared.Next(9_000);
            lock (Given)
            {
                if (!Given.Add(port)) continue;
            }
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Bind(new IPEndPoint(IPAddress.Any, port));
                return port;
            }
            catch (SocketException)
            {
                continue;
            }
        }
    }

    /// <summary>A Service of type LoadBalancer with one port, with endpoints; returns the port.</summary>
    public async Task<int> Publish(string name, IEnumerable<Backend> backends, string appProtocol = "", string portName = "")
    {
        var port = FreePort();
        await Listening(name, port, appProtocol, portName);
        await Slice(name, backends.Select(x => new Ep(x.Name, x.Port)), portName);
        await Routed(name, backends.Count());
        return port;
    }

    /// <summary>A Service of HTTP with one endpoint that the test plays; returns the port.</summary>
    public async Task<int> Publish(string name, Listening endpoint)
    {
        var port = FreePort();
        await Listening(name, port, "http");
        await Slice(name, [new(name, endpoint.Port)]);
        await Routed(name, 1);
        return port;
    }

    /// <summary>An Ingress that sends a host to a port of a Service.</summary>
    public async Task Host(string host, string service, int port)
    {
        var written = await Create(Kind.Ingress, service, $$"""
            {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"{{service}}","namespace":"default"},
             "spec":{"rules":[{"host":"{{host}}","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"{{service}}","port":{"number":{{port}} } } } }]} }]} }
            """);
        await Eventually.True(() => Lb.Routes.Applied >= written.Revision, "the Ingress is in the table");
    }

    /// <summary>A Service without endpoints whose port is open.</summary>
    public async Task Listening(string name, int port, string appProtocol = "", string portName = "")
    {
        var service = await Service(name, port, appProtocol, portName);
        await Eventually.True(() => Lb.Routes.Applied >= service.Revision, "the port is open");
    }

    public Task<Stored> Service(string name, int port, string appProtocol = "", string portName = "", string type = "LoadBalancer", string? created = null) =>
        Api.Create(ResourceKey.Of(Kind.Service, "default", name), Bytes($$"""
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"{{name}}","namespace":"default"},
             "spec":{"type":"{{type}}","selector":{"app":"{{name}}"},"ports":[{"port":{{port}}{{Field("name", portName)}}{{Field("appProtocol", appProtocol)}} }]} }
            """));

    /// <summary>Sets annotations of the balancer on a Service or an Ingress (names without the prefix; null = away) and waits until they are in the table.</summary>
    public async Task Settings(Kind kind, string name, params (string Name, string? Value)[] settings)
    {
        var annotations = new JsonObject(settings.Select(x => KeyValuePair.Create("declarative.mesos/lb-" + x.Name, (JsonNode?)x.Value)));
        var written = await Patch(kind, name, new JsonObject { ["metadata"] = new JsonObject { ["annotations"] = annotations } }.ToJsonString());
        await Eventually.True(() => Lb.Routes.Applied >= written.Revision, "the settings are in the table");
    }

    public Task Settings(string service, params (string Name, string? Value)[] settings) => Settings(Kind.Service, service, settings);

    /// <summary>Status, space, body.</summary>
    public async Task<string> Ask(int port, string path = "/", Action<HttpRequestMessage>? with = null)
    {
        using var answer = await Send(port, path, with);
        return $"{(int)answer.StatusCode} {(await answer.Content.ReadAsStringAsync()).TrimEnd()}";
    }

    public async Task<HttpResponseMessage> Send(int port, string path = "/", Action<HttpRequestMessage>? with = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{port}{path}");
        with?.Invoke(request);
        return await Http.SendAsync(request);
    }

    public readonly record struct Ep(string Pod, int Port, bool Ready = true, bool Terminating = false, string Address = "127.0.0.1");

    /// <summary>Writes the one slice of a Service; endpoints of one port are enough, so each endpoint gets a slice of its own port.</summary>
    public async Task<long> Slice(string service, IEnumerable<Ep> endpoints, string portName = "", string protocol = "TCP")
    {
        // One slice per pod: process pods have different ports.
        var wanted = endpoints.ToDictionary(x => $"{service}-{x.Pod}");
        var present = await Api.List(new(Kind.EndpointSlice, "default"));
        var revision = present.Revision;
        foreach (var gone in present.Items.Where(x => x.Key.Name.StartsWith(service + "-", StringComparison.Ordinal) && !wanted.ContainsKey(x.Key.Name)))
        {
            revision = Math.Max(revision, (await Api.Delete(gone.Key)).Revision);
        }
        foreach (var (name, endpoint) in wanted)
        {
            var json = Bytes($$"""
                {"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",
                 "metadata":{"name":"{{name}}","namespace":"default","labels":{"kubernetes.io/service-name":"{{service}}"} },
                 "ports":[{"name":"{{portName}}","port":{{endpoint.Port}},"protocol":"{{protocol}}"}],
                 "endpoints":[{"addresses":["{{endpoint.Address}}"],"conditions":{"ready":{{Json(endpoint.Ready)}},"serving":true,"terminating":{{Json(endpoint.Terminating)}} },
                  "targetRef":{"kind":"Pod","namespace":"default","name":"{{endpoint.Pod}}","uid":"uid-{{endpoint.Pod}}"} }]}
                """);
            var key = ResourceKey.Of(Kind.EndpointSlice, "default", name);
            var written = present.Items.Any(x => x.Key == key) ? await Api.Update(key, json) : await Api.Create(key, json);
            revision = Math.Max(revision, written.Revision); // an update that changes nothing keeps its old one
        }
        return revision;
    }

    /// <summary>Waits until the balancer has so many ready endpoints.</summary>
    public Task Routed(string service, int ready) =>
        Eventually.True(() => Lb.Routes.Table.Clusters.FirstOrDefault(x => x.Service.Name == service)?.ReadyCount == ready, $"{service} has {ready} ready endpoints");

    public Task<Stored> Create(Kind kind, string name, string json) => Api.Create(ResourceKey.Of(kind, "default", name), Bytes(json));

    public Task<Stored> Patch(Kind kind, string name, string json) => Api.Patch(ResourceKey.Of(kind, "default", name), PatchKind.Merge, Bytes(json));

    public Task<Stored> Delete(Kind kind, string name) => Api.Delete(ResourceKey.Of(kind, "default", name));

    public async Task<Service> Service(string name) => Declarative.Api.Kinds.Service.Read((await Api.Get(ResourceKey.Of(Kind.Service, "default", name))).Json);

    public async Task<TrafficReport> Report() => TrafficReport.Read((await Api.Get(ResourceKey.Of(Kind.TrafficReport, "", "lb-test"))).Json);

    /// <summary>Polls the API until what it shows holds.</summary>
    public static async Task<T> Until<T>(Func<Task<T>> read, Func<T, bool> holds, string what, Func<string>? more = null)
    {
        var value = default(T)!;
        for (var end = DateTime.UtcNow.AddSeconds(30); DateTime.UtcNow < end; await Task.Delay(10))
        {
            value = await read();
            if (holds(value)) return value;
        }
        throw new TimeoutException($"not within 30 s: {what}; {more?.Invoke()}; last seen: {value}, {(value is TrafficReport report ? string.Join(", ", report.Status.Draining) : "")}");
    }

    public Task<string> Get(int port, string path = "/") => Http.GetStringAsync($"http://127.0.0.1:{port}{path}");

    public static byte[] Bytes(string json) => Encoding.UTF8.GetBytes(JsonNode.Parse(json)!.ToJsonString());

    public async Task Stop()
    {
        await _stop.CancelAsync();
        await _running;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var owned in _owned) await owned.DisposeAsync();
        Http.Dispose();
        await Stop();
        Lb.Dispose();
        await Server.DisposeAsync();
        _stop.Dispose();
    }

    private static string Json(bool value) => value ? "true" : "false";

    private static string Field(string name, string value) => value.Length == 0 ? "" : $",\"{name}\":\"{value}\"";
}
