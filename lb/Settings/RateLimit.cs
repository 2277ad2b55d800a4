using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Declarative.Lb.Settings;

/// <summary>
/// So many requests per second and client address (of IPv6 the first 64 bits), and a burst on top: the generic cell rate algorithm, one
/// time per client. Holds <see cref="Limits.RateClientsMax"/> clients at most; memory is taken with the first request.
/// </summary>
public sealed class RateLimit(double perSecond, int burst)
{
    private const int Ways = 4;
    private const int Sets = Limits.RateClientsMax / Ways;
    private const int Locks = 64;

    private readonly Lock[] _locks = [.. Enumerable.Range(0, Locks).Select(_ => new Lock())];
    private Slot[]? _slots;

    public double PerSecond { get; } = perSecond;
    public int Burst { get; } = burst;

    /// <summary>True where the request is within the limit, which it then counts for.</summary>
    /// <param name="ticks">Monotonic, <see cref="TimeSpan.TicksPerSecond"/> per second.</param>
    public bool TryTake(IPAddress client, long ticks)
    {
        var slots = Volatile.Read(ref _slots) ?? Interlocked.CompareExchange(ref _slots, new Slot[Limits.RateClientsMax], null) ?? _slots;
        var tag = Tag(client);
        var set = (int)(tag % Sets);
        var cost = (long)(TimeSpan.TicksPerSecond / PerSecond);
        lock (_locks[set % Locks])
        {
            var ways = slots.AsSpan(set * Ways, Ways);
            ref var slot = ref ways[0];
            for (var i = 0; i < Ways; i++)
            {
                if (ways[i].Tag == tag)
                {
                    slot = ref ways[i];
                    break;
                }
                if (ways[i].Due < slot.Due) slot = ref ways[i];
            }
            var due = slot.Tag == tag ? Math.Max(slot.Due, ticks) : ticks;
            if (due - ticks > cost * Burst) return false;
            slot = new(tag, due + cost);
            return true;
        }
    }

    private static ulong Tag(IPAddress client)
    {
        if (client.IsIPv4MappedToIPv6) client = client.MapToIPv4();
        Span<byte> bytes = stackalloc byte[16];
        client.TryWriteBytes(bytes, out _);
        var number = MemoryMarshal.Read<ulong>(bytes);
        return Mixing.Mix(client.AddressFamily == AddressFamily.InterNetwork ? (uint)number : number) | 1;
    }

    private readonly record struct Slot(ulong Tag, long Due);
}
