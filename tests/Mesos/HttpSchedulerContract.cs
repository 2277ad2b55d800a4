using System.Net;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;

namespace Declarative.Tests.Mesos;

/// <summary>The same over real sockets.</summary>
public abstract class HttpSchedulerContract(bool json) : SchedulerContract
{
    private readonly List<HttpMaster> clients = [];
    private MasterServer? server;

    internal override async Task<IMaster> Client(MasterWorld world)
    {
        server ??= await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, 0), _ => world.Master, CancellationToken.None);
        var options = new HttpMasterOptions { Masters = new MasterList($"http://127.0.0.1:{server.Port}"), Json = json };
        var client = new HttpMaster(options, TimeProvider.System);
        clients.Add(client);
        return client;
    }

    public override async ValueTask DisposeAsync()
    {
        if (server is not null)
            await server.DisposeAsync();
        foreach (var client in clients)
            await client.DisposeAsync();
    }
}

public sealed class ProtobufSchedulerTests() : HttpSchedulerContract(json: false);

public sealed class JsonSchedulerTests() : HttpSchedulerContract(json: true);
