using System.Text.Json;

namespace Declarative.Mesos.Scheduler.ZooKeeper;

/// <summary>
/// The leading master as ZooKeeper has it: the znode <c>json.info_NNNNNNNNNN</c> of the lowest number, which holds the master's MasterInfo;
/// the others stand by.
/// While ZooKeeper is away the last known master stays: a stream that works is not cut because nobody can confirm it.
/// </summary>
public sealed class ZooKeeperDetector : MasterDetector
{
    private const string Prefix = "json.info_";
    private static readonly TimeSpan RetryFirst = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RetryMax = TimeSpan.FromSeconds(5);

    private readonly ZooKeeperAddress _address;
    private readonly bool _https;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private TaskCompletionSource _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task? _watching;
    private IReadOnlyList<Uri> _known = [];
    private string _why = "has not answered yet";

    public ZooKeeperDetector(ZooKeeperAddress address, bool https, TimeProvider time) => (_address, _https, _time) = (address, https, time);

    /// <summary>The session's timeout, as asked of ZooKeeper; Mesos' masters ask for 10 s themselves.</summary>
    public TimeSpan SessionTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long <see cref="Leader"/> waits for a first word.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);

    public override async ValueTask<Uri> Leader(CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(Patience, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stop);
        while (true)
        {
            var (known, news) = Now();
            if (known.Count > 0) return known[0];
            try
            {
                await news.WaitAsync(either.Token);
            }
            catch (OperationCanceledException late) when (!stop.IsCancellationRequested)
            {
                throw new MasterUnavailable($"{_address}: {_why}", late);
            }
        }
    }

    /// <summary>ZooKeeper decides who leads: there is no other to try.</summary>
    public override void Failed(Uri address) { }

    public override async Task Deposed(Uri address, CancellationToken stop)
    {
        while (true)
        {
            var (known, news) = Now();
            if (known.Count > 0 && known[0] != address) return;
            await news.WaitAsync(stop);
        }
    }

    public override IReadOnlyList<Uri> Known => Now().Known;

    public override async Task Changed(IReadOnlyList<Uri> known, CancellationToken stop)
    {
        while (true)
        {
            var (now, news) = Now();
            if (!now.SequenceEqual(known)) return;
            await news.WaitAsync(stop);
        }
    }

    public override async ValueTask DisposeAsync()
    {
        _stop.Cancel();
        Task? watching;
        lock (_lock) watching = _watching;
        if (watching is not null) await watching;
        _stop.Dispose();
        await base.DisposeAsync();
    }

    private (IReadOnlyList<Uri> Known, Task News) Now()
    {
        lock (_lock)
        {
            _watching ??= Watch();
            return (_known, _news.Task);
        }
    }

    private void Tell(IReadOnlyList<Uri> known, string why)
    {
        lock (_lock)
        {
            _why = why;
            if (known.SequenceEqual(_known)) return;
            _known = known;
            _news.TrySetResult();
            _news = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Keeps a session and reads anew whenever a watch fires; never throws.</summary>
    private async Task Watch()
    {
        await Task.Yield();
        var retry = RetryFirst;
        var ticket = default(ZooKeeperSession.Ticket);
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await using var session = await ZooKeeperSession.Open(_address, ticket, SessionTimeout, _time, _stop.Token);
                try
                {
                    while (true)
                    {
                        var changed = session.Changed;
                        await Read(session, _stop.Token);
                        retry = RetryFirst;
                        await changed.WaitAsync(_stop.Token);
                        session.Rearm();
                    }
                }
                finally
                {
                    // A session that we end ourselves is over; one whose connection broke is taken up again.
                    ticket = session.IsLost ? new(session.Id, session.Password, session.LastZxid) : default;
                }
            }
            catch (ZooKeeperLost lost)
            {
                Tell(Known, lost.Message);
                if (lost.IsExpired) ticket = default;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            try
            {
                await Task.Delay(retry, _time, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            retry = retry * 2 < RetryMax ? retry * 2 : RetryMax;
        }
    }

    private async Task Read(ZooKeeperSession session, CancellationToken stop)
    {
        while (true)
        {
            var (code, names) = await session.Children(_address.Path, stop);
            var standing = names.Where(x => x.StartsWith(Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToList();
            if (standing.Count == 0)
            {
                Tell([], code is ZooKeeperCode.NoNode ? $"there is no znode {_address.Path}" : $"no master stands under {_address.Path}");
                if (code is ZooKeeperCode.NoNode) throw new ZooKeeperLost($"there is no znode {_address.Path}");
                return;
            }
            var masters = new List<Uri>(standing.Count);
            var isGone = false;
            foreach (var name in standing)
            {
                var (found, bytes) = await session.Data($"{_address.Path}/{name}", stop);
                isGone = found is ZooKeeperCode.NoNode;
                if (isGone) break; // between the two questions
                if (Address(bytes, _https) is { } master) masters.Add(master);
                else if (name == standing[0]) throw new ZooKeeperLost($"{_address.Path}/{name} holds no MasterInfo");
                // One that stands by and cannot be read hides nobody else.
            }
            if (isGone) continue;
            Tell(masters, "");
            return;
        }
    }

    /// <summary>By address, as Mesos' own drivers do it; by host name where its certificate must fit.</summary>
    internal static Uri? Address(ReadOnlySpan<byte> masterInfo, bool https)
    {
        try
        {
            var reader = new Utf8JsonReader(masterInfo);
            using var document = JsonDocument.ParseValue(ref reader);
            if (document.RootElement.ValueKind is not JsonValueKind.Object || !document.RootElement.TryGetProperty("address", out var address)) return null;
            var (host, ip) = (Text(address, "hostname"), Text(address, "ip"));
            var name = https ? (host.Length > 0 ? host : ip) : ip.Length > 0 ? ip : host;
            return name.Length > 0 && address.TryGetProperty("port", out var port) && port.TryGetInt32(out var number) ? new UriBuilder(https ? "https" : "http", name, number).Uri : null;
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException or UriFormatException or ArgumentOutOfRangeException)
        {
            return null;
        }
    }

    private static string Text(JsonElement element, string name) => element.TryGetProperty(name, out var value) ? value.GetString() ?? "" : "";
}
