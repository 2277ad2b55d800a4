using Declarative.Mesos.Scheduler.ZooKeeper;

namespace Declarative.Mesos.Scheduler;

/// <summary>Says where the leading master is: a fixed list that is tried in turn, or ZooKeeper's word.</summary>
public abstract class MasterDetector : IAsyncDisposable
{
    /// <summary>The address to try now: <c>http(s)://HOST:PORT</c>, without a path.</summary>
    /// <exception cref="MasterUnavailable">Nobody says where a master is. Retryable.</exception>
    public abstract ValueTask<Uri> Leader(CancellationToken stop);

    /// <summary>The address was tried and no leading master was found there.</summary>
    public abstract void Failed(Uri address);

    /// <summary>Ends when another master than this one is known to lead; never, where nobody would say so.</summary>
    public abstract Task Deposed(Uri address, CancellationToken stop);

    /// <summary>All masters known by now: a list as it was given, or what ZooKeeper told, the leading one first. Empty: nothing is known yet.</summary>
    public abstract IReadOnlyList<Uri> Known { get; }

    /// <summary>Ends when <see cref="Known"/> is another list than this one; never, where that cannot be.</summary>
    public abstract Task Changed(IReadOnlyList<Uri> known, CancellationToken stop);

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>
    /// The detector for masters as users name them: <c>http://HOST:PORT</c> (several, or with commas), <c>zk://[USER:PASSWORD@]HOST[:2181],…/PATH</c>,
    /// or <c>file:///PATH</c>, a file that holds one of these.
    /// </summary>
    /// <param name="masters">At least one.</param>
    /// <param name="https">Masters found through ZooKeeper are spoken to by https, by their host name.</param>
    /// <param name="time">For ZooKeeper's session.</param>
    /// <exception cref="FormatException">One of them has none of these forms.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static MasterDetector Of(IReadOnlyList<string> masters, bool https, TimeProvider time)
    {
        var texts = masters.SelectMany(Contents).ToList();
        if (texts.Exists(x => x.StartsWith("zk://", StringComparison.Ordinal)))
        {
            if (texts.Count > 1) throw new FormatException($"{string.Join(' ', texts)}: a zk:// address stands alone");
            return new ZooKeeperDetector(ZooKeeperAddress.Parse(texts[0]), https, time);
        }
        var addresses = texts.SelectMany(x => x.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).Select(Address).ToList();
        return addresses.Count > 0 ? new MasterList(addresses) : throw new FormatException("no master is named");
    }

    private static IEnumerable<string> Contents(string text)
    {
        if (!text.StartsWith("file://", StringComparison.Ordinal)) return [text.Trim()];
        var path = text["file://".Length..];
        return File.ReadAllLines(path).Select(x => x.Trim()).Where(x => x.Length > 0 && x[0] != '#');
    }

    private static Uri Address(string text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https" && address is { Host.Length: > 0, AbsolutePath: "/" or "" }
            ? address!
            : throw new FormatException($"\"{text}\": expected http://HOST:PORT, zk://HOST1:2181,HOST2:2181/mesos or file:///PATH");
}

/// <summary>Masters by address, tried in turn; any of them may redirect to the leading one.</summary>
public sealed class MasterList(IReadOnlyList<Uri> addresses) : MasterDetector
{
    private int _next;

    public MasterList(params ReadOnlySpan<string> addresses) : this([.. addresses.ToArray().Select(x => new Uri(x))]) { }

    public override ValueTask<Uri> Leader(CancellationToken stop) => new(addresses[_next % addresses.Count]);

    public override void Failed(Uri address)
    {
        if (addresses[_next % addresses.Count] == address) _next = (_next + 1) % addresses.Count;
    }

    public override IReadOnlyList<Uri> Known => addresses;

    /// <summary>Nobody starts it: it ends, canceled, with <paramref name="stop"/> alone.</summary>
    public override Task Changed(IReadOnlyList<Uri> known, CancellationToken stop) => new(static () => { }, stop);

    /// <summary>Nobody starts it: it ends, canceled, with <paramref name="stop"/> alone.</summary>
    public override Task Deposed(Uri address, CancellationToken stop) => new(static () => { }, stop);
}
