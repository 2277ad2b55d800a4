using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;

namespace Declarative.Bench.Lb.Show;

/// <summary>What became of the requests and connections of one kind. Any thread.</summary>
/// <param name="wanted">Requests per second, or open at once.</param>
internal sealed class Tally(string name, int wanted, bool isRate)
{
    private const int KindsMax = 10;
    private const int FirstMax = 5;

    private readonly ConcurrentDictionary<string, long> _failures = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _first = new();
    private long _done;
    private int _open;
    private double _openSum;
    private int _looks;
    private long _before;

    public string Name => name;
    public int Wanted => wanted;
    public bool IsRate => isRate;
    public long Done => Volatile.Read(ref _done);
    public int Open => Volatile.Read(ref _open);
    public long Failed => _failures.Values.Sum();

    /// <summary>Done and failed since <see cref="Begin"/>.</summary>
    public long Counted => Done + Failed - _before;

    /// <summary>Of those that are open at once.</summary>
    public double OpenAverage => _looks == 0 ? 0 : _openSum / _looks;

    /// <summary>The kinds of failures, most first, and when the first ones were.</summary>
    public string Why => string.Create(CultureInfo.InvariantCulture, $"{string.Join("; ", _failures.OrderByDescending(x => x.Value).ThenBy(x => x.Key, StringComparer.Ordinal).Take(KindsMax).Select(x => $"{x.Value} {x.Key}"))}; the first at {string.Join(", ", _first)}");

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
            if (_first.Count < FirstMax) _first.Enqueue(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:HH:mm:ss.fff}"));
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

    /// <summary>The whole load is there. Failures count from the first request on.</summary>
    public void Begin() => _before = Done + Failed;

    /// <summary>Called at even times by one caller.</summary>
    public void Look()
    {
        _openSum += Open;
        _looks++;
    }
}
