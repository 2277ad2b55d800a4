using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>
/// One thread that waits for the sockets of many connections and carries on with whatever has come: decrypting, parsing, answering, in one go. By the
/// thread pool each request would wake two or three threads, of which one has something to do.
/// </summary>
internal sealed class ConnectionLoop : IDisposable
{
    private const int EventsMax = 256;

    /// <summary>Of those that go last, in one round.</summary>
    private const int LastAtOnce = 4;
    private const long BellNumber = 0;
    private readonly int _poll = Epoll.NewPoll();
    private readonly int _bell = Epoll.NewBell();
    private readonly ConcurrentDictionary<long, LoopConnection> _connections = new();
    private readonly ConcurrentQueue<LoopConnection> _posts = new();
    private readonly Queue<LoopConnection> _last = new(); // with news, of the loop's thread
    private readonly LoopRound _round;
    private readonly Thread _thread;
    private readonly ILogger _log;
    private readonly Lock _descriptors = new(); // whether they are open
    private readonly Lock _afterwards = new(); // in place of the thread, when it has ended
    private long _lastNumber = BellNumber;
    private int _rung;
    private volatile bool _ends;
    private bool _isOver;

    public ConnectionLoop(int number, ILogger log)
    {
        _log = log;
        _round = new(Ring);
        Epoll.Register(_poll, _bell, BellNumber, Epoll.In | Epoll.Edge);
        _thread = new(Run) { IsBackground = true, Name = $"api loop {number}" };
        _thread.Start();
    }

    /// <summary>News of its socket, from now on.</summary>
    public long Add(LoopConnection connection, int fd)
    {
        var number = Interlocked.Increment(ref _lastNumber);
        _connections[number] = connection;
        try
        {
            lock (_descriptors)
            {
                ObjectDisposedException.ThrowIf(_isOver, this);
                Epoll.Register(_poll, fd, number, Epoll.In | Epoll.Out | Epoll.PeerEnded | Epoll.Edge);
            }
        }
        catch
        {
            Forget(number);
            throw;
        }
        return number;
    }

    /// <summary>Its socket is closed.</summary>
    public void Forget(long number) => _connections.TryRemove(number, out _);

    /// <summary>Calls <see cref="LoopConnection.GoOn"/> in this loop's thread.</summary>
    public void Post(LoopConnection connection)
    {
        _posts.Enqueue(connection);
        if (!Ring()) GoOnAfterwards();
    }

    /// <summary>False where nobody hears it any more.</summary>
    private bool Ring()
    {
        lock (_descriptors)
        {
            if (_isOver) return false;
            if (Interlocked.Exchange(ref _rung, 1) == 0) Epoll.Ring(_bell);
            return true;
        }
    }

    public void Dispose()
    {
        _ends = true;
        Epoll.Ring(_bell);
        _thread.Join();
        lock (_descriptors)
        {
            _isOver = true;
            Epoll.Close(_bell);
            Epoll.Close(_poll);
        }
        // Nobody tells them anything any more.
        lock (_afterwards)
        {
            foreach (var connection in _connections.Values) connection.Drop(null);
        }
        GoOnAfterwards();
        _round.Leave();
    }

    private void Run()
    {
        _round.Enter();
        Span<byte> events = new byte[EventsMax * Epoll.Stride];
        while (!_ends)
        {
            Look(events, waits: _last.Count == 0 && _posts.IsEmpty && !_round.HasMore);
            GoOn();
            for (var left = Math.Min(_last.Count, LastAtOnce); left > 0; left--)
            {
                var last = _last.Dequeue();
                Guarded(last, last.Kept());
                // Who has come meanwhile does not wait for the rest of them.
                if (left > 1) Look(events, waits: false);
            }
            _round.End();
        }
    }

    private void Look(Span<byte> events, bool waits)
    {
        var count = Epoll.Wait(_poll, events, waits);
        for (var i = 0; i < count; i++)
        {
            var (number, news) = Epoll.At(events, i);
            if (number == BellNumber) Epoll.Silence(_bell);
            else if (!_connections.TryGetValue(number, out var connection)) continue;
            else if (!connection.GoesLast) Guarded(connection, news);
            else if (connection.Keep(news)) _last.Enqueue(connection);
        }
        // Whoever posted before this is found before the next wait; whoever posts after it rings again.
        Interlocked.Exchange(ref _rung, 0);
    }

    /// <summary>What is posted meanwhile comes after the news of the others.</summary>
    private void GoOn()
    {
        for (var left = _posts.Count; left > 0 && _posts.TryDequeue(out var posted); left--) Guarded(posted, null);
    }

    private void GoOnAfterwards()
    {
        lock (_afterwards)
        {
            while (_posts.TryDequeue(out var posted)) Guarded(posted, null);
        }
    }

    /// <summary>A bug ends the connection that it came from, not the others.</summary>
    private void Guarded(LoopConnection connection, uint? news)
    {
        try
        {
            if (news is { } events) connection.News(events);
            else connection.GoOn();
        }
        catch (Exception bug)
        {
            Log.Failed(_log, connection.ConnectionId, bug);
            connection.Drop(bug);
        }
    }
}
