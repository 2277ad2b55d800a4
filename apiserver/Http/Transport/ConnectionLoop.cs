using System.Collections.Concurrent;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>
/// One thread that waits for the sockets of many connections and carries on with whatever has come: decrypting, parsing, answering, in one go. By the
/// thread pool each request would wake two or three threads, of which one has something to do.
/// </summary>
internal sealed class ConnectionLoop : IDisposable
{
    private const int EventsMax = 256;
    private const long BellNumber = 0;
    private readonly int _poll = Epoll.NewPoll();
    private readonly int _bell = Epoll.NewBell();
    private readonly ConcurrentDictionary<long, LoopConnection> _connections = new();
    private readonly ConcurrentQueue<LoopConnection> _posts = new();
    private readonly Thread _thread;
    private long _last = BellNumber;
    private int _rung;
    private volatile bool _ends;

    public ConnectionLoop(int number)
    {
        Epoll.Register(_poll, _bell, BellNumber, Epoll.In | Epoll.Edge);
        _thread = new(Run) { IsBackground = true, Name = $"api loop {number}" };
        _thread.Start();
    }

    /// <summary>News of its socket, from now on.</summary>
    public long Add(LoopConnection connection, int fd)
    {
        var number = Interlocked.Increment(ref _last);
        _connections[number] = connection;
        Epoll.Register(_poll, fd, number, Epoll.In | Epoll.Out | Epoll.PeerEnded | Epoll.Edge);
        return number;
    }

    /// <summary>Its socket is closed.</summary>
    public void Forget(long number) => _connections.TryRemove(number, out _);

    /// <summary>Calls <see cref="LoopConnection.GoOn"/> in this loop's thread.</summary>
    public void Post(LoopConnection connection)
    {
        _posts.Enqueue(connection);
        if (_ends) GoOn(); // there is no thread for it any more
        else if (Interlocked.Exchange(ref _rung, 1) == 0) Epoll.Ring(_bell);
    }

    public void Dispose()
    {
        _ends = true;
        Epoll.Ring(_bell);
        _thread.Join();
        GoOn();
        Epoll.Close(_bell);
        Epoll.Close(_poll);
    }

    private void Run()
    {
        Span<byte> events = new byte[EventsMax * Epoll.Stride];
        while (!_ends)
        {
            var count = Epoll.Wait(_poll, events);
            for (var i = 0; i < count; i++)
            {
                var (number, news) = Epoll.At(events, i);
                if (number == BellNumber) Epoll.Silence(_bell);
                else if (_connections.TryGetValue(number, out var connection)) connection.News(news);
            }
            Interlocked.Exchange(ref _rung, 0);
            GoOn();
        }
    }

    private void GoOn()
    {
        while (_posts.TryDequeue(out var posted)) posted.GoOn();
    }
}
