using System.Net;
using System.Text.Json;
using Declarative.Mesos.Scheduler;

namespace Declarative.Dns.MesosState;

/// <summary>How the masters are spoken to: with credentials and certificates, and <c>/state</c> where the event stream is refused.</summary>
internal sealed class MasterClient : IDisposable
{
    private const int RedirectsMax = 5;
    private readonly MasterDetector _masters;
    private readonly HttpClient _client;

    /// <exception cref="IOException">A certificate file cannot be read.</exception>
    public MasterClient(MesosOptions options, MasterDetector masters)
    {
        _masters = masters;
        _client = new HttpClient(options.Access.Handler(int.MaxValue)) { Timeout = System.Threading.Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = DnsLimits.StateBytesMax };
    }

    /// <summary>The state as the leading master has it; masters are tried in turn.</summary>
    /// <exception cref="MasterUnavailable">None of them gives it.</exception>
    public Task<MesosCluster> State(CancellationToken stop) => FirstOf(stop, async master =>
    {
        var state = StateDocument.Read(await Read(master, "/master/state", stop));
        // A master of old that does not lead answers with what it has: nothing but who leads.
        return state is { IsLeader: false, Leader: { } leader }
            ? StateDocument.Read(await Read(new UriBuilder(master) { Host = leader.Host, Port = leader.Port }.Uri, "/master/state", stop))
            : state;
    });

    /// <summary>Where the schedulers are that speak libprocess.</summary>
    /// <exception cref="MasterUnavailable">No master tells.</exception>
    public Task<IReadOnlyList<MesosFramework>> Schedulers(CancellationToken stop) =>
        FirstOf(stop, async master => StateDocument.ReadSchedulers(await Read(master, "/master/state-summary", stop)).Where(f => f.Port > 0).ToList() as IReadOnlyList<MesosFramework>);

    private async Task<T> FirstOf<T>(CancellationToken stop, Func<Uri, Task<T>> ask)
    {
        var failures = new List<string>();
        // Waits for ZooKeeper's first word where it is asked.
        await _masters.Leader(stop);
        foreach (var master in _masters.Known)
        {
            try
            {
                return await ask(master);
            }
            catch (Exception lost) when (lost is HttpRequestException or IOException or JsonException)
            {
                failures.Add($"{master.Authority}: {lost.Message}");
            }
        }
        throw new MasterUnavailable($"no master gives its state: {string.Join("; ", failures)}");
    }

    private async Task<byte[]> Read(Uri master, string path, CancellationToken stop)
    {
        var address = new Uri(master, path);
        for (var redirects = 0; redirects <= RedirectsMax; redirects++)
        {
            using var response = await _client.GetAsync(address, stop);
            if (response.StatusCode == HttpStatusCode.TemporaryRedirect && response.Headers.Location is { } location)
            {
                address = new Uri(address, location);
                continue;
            }
            if (!response.IsSuccessStatusCode)
                throw new HttpRequestException($"{address} answered {(int)response.StatusCode}");
            return await response.Content.ReadAsByteArrayAsync(stop);
        }
        throw new HttpRequestException($"{master} redirects in a circle");
    }

    public void Dispose() => _client.Dispose();
}
