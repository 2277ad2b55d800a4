using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Dns;

/// <summary>
/// Mesos-DNS (a binary of the user's) before a master that serves tasks of the same names, addresses and ports as the zone's; of their own
/// names it makes its own.
/// </summary>
internal sealed class MesosDns : Peer
{
    /// <summary>The state of more tasks than these takes longer to read than to measure.</summary>
    public const int NamesMax = 100_000;
    private const string Agent = "20240101-000000-1-5050-1-S1";

    private readonly HttpListener _master = new();
    private readonly Task _serving;

    private MesosDns(byte[] state) : base("Mesos-DNS")
    {
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            MasterPort = ((IPEndPoint)free.LocalEndpoint).Port;
        }
        _master.Prefixes.Add($"http://127.0.0.1:{MasterPort}/");
        _master.Start();
        var leading = Encoding.UTF8.GetString(state).Replace("PORT", $"{MasterPort}", StringComparison.Ordinal);
        _serving = Serve(Encoding.UTF8.GetBytes(leading));
    }

    private int MasterPort { get; }

    /// <param name="program">Its path; called with <c>-config=FILE</c>.</param>
    /// <param name="zone">What it shall serve.</param>
    /// <exception cref="InvalidOperationException">It does not come to answer.</exception>
    public static MesosDns Start(string program, BenchZone zone)
    {
        var server = new MesosDns(State(zone));
        try
        {
            var config = Path.Combine(server.Folder, "config.json");
            File.WriteAllText(config, $$"""
                {"masters": ["127.0.0.1:{{server.MasterPort}}"], "domain": "mesos", "listener": "127.0.0.1", "port": {{server.Address.Port}},
                 "httpon": false, "externalon": false, "refreshSeconds": 3600, "stateTimeoutSeconds": 300, "ttl": 5, "IPSources": ["netinfo", "host"]}
                """);
            server.Start(program, [$"-config={config}"], BenchZone.Addresses(0), TimeSpan.FromMinutes(2));
            return server;
        }
        catch
        {
            server.Dispose();
            throw;
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _master.Close();
        _serving.Wait(TimeSpan.FromSeconds(10));
    }

    private async Task Serve(byte[] state)
    {
        while (_master.IsListening)
        {
            HttpListenerContext context;
            try
            {
                context = await _master.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return; // closed
            }
            context.Response.StatusCode = context.Request.Url!.AbsolutePath is "/master/state" or "/master/state.json" or "/state" ? 200 : 404;
            context.Response.ContentType = "application/json";
            if (context.Response.StatusCode == 200)
                await context.Response.OutputStream.WriteAsync(state);
            context.Response.Close();
        }
    }

    private static byte[] State(BenchZone zone)
    {
        var text = new StringBuilder();
        text.Append("""{"leader":"master@127.0.0.1:PORT","pid":"master@127.0.0.1:PORT","slaves":[{"id":"AGENT","hostname":"127.0.0.1","pid":"slave(1)@127.0.0.1:5051"}],"frameworks":[{"id":"f-1","name":"declarative","hostname":"127.0.0.1","active":true,"pid":"scheduler@127.0.0.1:1","tasks":[""").Replace("AGENT", Agent);
        for (var service = 0; service < zone.Services; service++)
        {
            for (var i = 0; i < BenchZone.Instances; i++)
            {
                if (service + i > 0)
                    text.Append(',');
                text.Append($$$"""
                    {"id":"{{{service}}}.{{{i}}}","name":"w{{{service}}}","framework_id":"f-1","slave_id":"{{{Agent}}}","state":"TASK_RUNNING","resources":{},
                    "discovery":{"visibility":"FRAMEWORK","name":"w{{{service}}}","ports":{"ports":[{"number":{{{31000 + i}}},"protocol":"tcp"}]}},
                    "statuses":[{"state":"TASK_RUNNING","timestamp":1,"container_status":{"network_infos":[{"ip_addresses":[{"ip_address":"{{{BenchZone.Address(service, i, 0)}}}"}]}]}}]}
                    """);
            }
        }
        return Encoding.UTF8.GetBytes(text.Append("]}]}").ToString());
    }
}
