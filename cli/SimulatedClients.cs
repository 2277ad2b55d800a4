using System.Buffers.Binary;
using System.Text;
using Declarative.Dns;
using Declarative.Lb;
using Declarative.Lb.Routes;
using Declarative.Sim;

namespace Declarative.Cli;

/// <summary>
/// Clients of the simulated world: they stand where sockets would be, ask the balancer's routes and the DNS zones as real clients do, and
/// tell the witness whom they reach.
/// </summary>
internal static class SimulatedClients
{
    private const string BalancerReport = "lb-local";
    private const string DnsReport = "dns-local";
    private const string Address = "127.0.0.1";
    private const int FirstPort = 9001;
    private const int Ports = 3;
    private static readonly (string Name, string Workload)[] Names =
        [("_web._tcp.declarative.mesos", "default/web"), ("_api._tcp.declarative.mesos", "default/api"), ("_cart-shop._tcp.declarative.mesos", "shop/cart")];

    /// <summary>Requests through the balancer, most of them short, some long.</summary>
    public static async Task Balanced(LbRoutes routes, SimulatedTraffic traffic, TimeProvider time, Random random, CancellationToken stop)
    {
        var inFlight = new List<(DateTimeOffset End, Destination To)>();
        Destination? stale = null;
        while (await Pause(random.Next(100, 500), time, stop))
        {
            var now = time.GetUtcNow();
            foreach (var (_, to) in inFlight.Where(x => x.End <= now))
            {
                traffic.Answered(BalancerReport, to.PodUid);
                to.Release();
            }
            inFlight.RemoveAll(x => x.End <= now);
            if (routes.Pick(Address, FirstPort + random.Next(Ports)) is not { } picked) continue;
            traffic.Routed(BalancerReport, picked.PodUid);
            inFlight.Add((now.AddMilliseconds(random.Next(10) == 0 ? random.Next(30_000) : random.Next(1000)), picked));
            if (traffic.Mutant == Mutant.StaleClient) traffic.Routed(BalancerReport, (stale ??= picked).PodUid);
        }
    }

    /// <summary>A resolver that asks for SRV records, keeps answers for their TTL, and connects to what they name.</summary>
    public static async Task Resolving(DnsZones zones, SimulatedTraffic traffic, TimeProvider time, Random random, CancellationToken stop)
    {
        var cached = new (DateTimeOffset End, List<string> Pods)[Names.Length];
        var response = new byte[65535];
        while (await Pause(random.Next(100, 500), time, stop))
        {
            var which = random.Next(Names.Length);
            var now = time.GetUtcNow();
            if (now >= cached[which].End)
            {
                var length = zones.Answer(Query(Names[which].Name, (ushort)random.Next(65536)), response);
                var answers = Services(response.AsSpan(0, length));
                traffic.Told(DnsReport, $"{Names[which].Name} {string.Join(' ', answers)}");
                cached[which] = (now.AddSeconds(answers.Count == 0 ? 0 : answers.Min(x => x.Ttl)), [.. answers.Select(x => traffic.PodAt(x.Port, Names[which].Workload)).Where(x => x.Length > 0)]);
            }
            if (cached[which].Pods is { Count: > 0 } pods) traffic.Routed(DnsReport, pods[random.Next(pods.Count)]);
        }
    }

    private static async Task<bool> Pause(int milliseconds, TimeProvider time, CancellationToken stop)
    {
        try
        {
            await Task.Delay(TimeSpan.FromMilliseconds(milliseconds), time, stop);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>RFC 1035, 4.1: header, one question of type SRV, class IN.</summary>
    internal static byte[] Query(string name, ushort id, ushort type = 33)
    {
        var bytes = new List<byte> { (byte)(id >> 8), (byte)id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
        foreach (var label in name.Split('.'))
        {
            bytes.Add((byte)label.Length);
            bytes.AddRange(Encoding.ASCII.GetBytes(label));
        }
        bytes.AddRange([0, (byte)(type >> 8), (byte)type, 0, 1]);
        return [.. bytes];
    }

    /// <summary>Port and TTL of the SRV records of an answer section (RFC 2782).</summary>
    internal static List<(int Port, uint Ttl)> Services(ReadOnlySpan<byte> message)
    {
        var found = new List<(int, uint)>();
        if (message.Length < 12) return found;
        var at = 12;
        for (var questions = BinaryPrimitives.ReadUInt16BigEndian(message[4..]); questions > 0; questions--) at = AfterName(message, at) + 4;
        for (var answers = BinaryPrimitives.ReadUInt16BigEndian(message[6..]); answers > 0; answers--)
        {
            at = AfterName(message, at);
            var (type, ttl) = (BinaryPrimitives.ReadUInt16BigEndian(message[at..]), BinaryPrimitives.ReadUInt32BigEndian(message[(at + 4)..]));
            var length = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 8)..]);
            if (type == 33) found.Add((BinaryPrimitives.ReadUInt16BigEndian(message[(at + 14)..]), ttl));
            at += 10 + length;
        }
        return found;
    }

    private static int AfterName(ReadOnlySpan<byte> message, int at)
    {
        while (message[at] is > 0 and < 64) at += message[at] + 1;
        return at + (message[at] == 0 ? 1 : 2); // a pointer ends a name (RFC 1035, 4.1.4)
    }
}
