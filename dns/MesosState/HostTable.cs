using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Declarative.Dns.MesosState;

/// <summary>Addresses of the hosts that Mesos names, looked up in the system's resolver and remembered. What cannot be found has none.</summary>
internal sealed class HostTable(TimeProvider time, TimeSpan keep)
{
    private readonly ConcurrentDictionary<string, (IReadOnlyList<IPAddress> Addresses, long Until)> _known = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>What is known by now; an address stands for itself.</summary>
    public IReadOnlyList<IPAddress> Find(string host) =>
        IPAddress.TryParse(host, out var address) ? [address] : _known.TryGetValue(host, out var found) ? found.Addresses : [];

    /// <summary>Looks up those that are not known or not any more. A name that fails keeps what was known of it.</summary>
    public async Task Learn(IEnumerable<string> hosts, CancellationToken stop)
    {
        var now = time.GetTimestamp();
        foreach (var host in hosts.Where(h => h.Length > 0 && !IPAddress.TryParse(h, out _)).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            if (_known.TryGetValue(host, out var known) && known.Until > now)
                continue;
            if (_known.Count >= DnsLimits.HostsKnownMax)
                _known.Clear();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(DnsLimits.HostLookupSeconds), time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, stop);
            IReadOnlyList<IPAddress> addresses;
            try
            {
                addresses = [.. (await System.Net.Dns.GetHostAddressesAsync(host, either.Token)).Distinct()];
            }
            catch (Exception e) when (e is SocketException or ArgumentException or OperationCanceledException)
            {
                stop.ThrowIfCancellationRequested();
                addresses = Find(host);
            }
            _known[host] = (addresses, now + (long)(keep.TotalSeconds * time.TimestampFrequency));
        }
    }
}
