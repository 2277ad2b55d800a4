using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;

namespace Declarative.Bench.Lb.Show;

/// <summary>What became of the requests and connections of one kind. Any thread.</summary>
/// <param name="wanted">Requests per second, or open at once.</param>
internal sealed class Tally(string name, int wanted, bool isRate)
{
    private readonly ConcurrentDictionary<string, long> _failures = new(StringComparer.Ordinal);
    private long _done;
    private int _open;
    private double _openSum;
    private int _looks;

    public string Name => name;
    public int Wanted => wanted;
    public bool IsRate => isRate;
    public long Done => Volatile.Read(ref _done);
    public int Open => Volatile.Read(ref _open);
    public long Failed => _failures.Values.Sum();

    /// <summary>Of those that are open at once.</summary>
    public double OpenAverage => _looks == 0 ? 0 : _openSum / _looks;

    /// <summary>By kind, most first.</summary>
    public IEnumerable<(string Kind, long Count)> Failures => _failures.OrderByDescending(x => x.Value).ThenBy(x => x.Key, StringComparer.Ordinal).Select(x => (x.Key, x.Value));

    /// <summary>Of the first failures: when, and why.</summary>
    public ConcurrentQueue<string> First { get; } = new();

    /// <summary>One request or connection, from its beginning to its end.</summary>
    public async Task Count(Func<Task> one)
    {
        try
        {
            await one();
            Interlocked.Increment(ref _done);
        }
        catch (Exception e) when (e is SocketException or InvalidDataException or OperationCanceledException)
        {
            var kind = e switch { SocketException socket => socket.SocketErrorCode.ToString(), OperationCanceledException => "not within its time", _ => e.Message };
            _failures.AddOrUpdate(kind, 1, static (_, x) => x + 1);
            if (First.Count < 5) First.Enqueue(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss.fff} {kind}"));
        }
    }

    /// <summary>It has begun and not ended while <paramref name="one"/> runs.</summary>
    public async Task WhileOpen(Func<Task> one)
    {
        Interlocked.Increment(ref _open);
        try
        {
            await one();
        }
        finally
        {
            Interlocked.Decrement(ref _open);
        }
    }

    /// <summary>Called at even times by one caller.</summary>
    public void Look()
    {
        _openSum += Open;
        _looks++;
    }
}
