using Declarative.Lb.Routes;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>One connection to an endpoint. While nobody uses it, any news of it is its end.</summary>
internal sealed unsafe class Upstream : Handler
{
    private readonly EventLoop _loop;
    private bool _isClosed;

    public Upstream(EventLoop loop, Destination destination, int fd) => (_loop, Destination, Fd) = (loop, destination, fd);

    public Destination Destination { get; }

    /// <summary>null = it waits in the pool.</summary>
    public PlainConnection? User { get; set; }

    /// <summary>It has carried a request before: its endpoint may be about to close it.</summary>
    public bool IsUsed { get; set; }

    public override bool GoesLast => User is { GoesLast: true };

    /// <summary>The news that are kept are of what has been read: neither an end nor anything unread is there.</summary>
    public bool IsQuiet => Kept == 0 || IsOpen;

    /// <summary>Neither an end nor anything unread has come.</summary>
    public bool IsOpen
    {
        get
        {
            byte one;
            return Libc.Look(Fd, &one, 1) == -Libc.Again;
        }
    }

    public override void News(uint events)
    {
        if (User is { } user) user.UpstreamNews(events);
        else if ((events & ~Libc.Out) != 0) _loop.Pool.Drop(this);
    }

    public override void Late()
    {
        if (User is null) _loop.Pool.Drop(this);
    }

    public override void Break()
    {
        if (User is { } user) user.Break();
        else _loop.Pool.Drop(this);
    }

    /// <summary>Once; the number of the descriptor is soon another socket's.</summary>
    public void Close()
    {
        if (_isClosed) return;
        _isClosed = true;
        User = null;
        _loop.Remove(this);
        Libc.Close(Fd);
    }
}

/// <summary>Connections of one loop to endpoints that wait for the next request.</summary>
internal sealed class UpstreamPool(EventLoop loop)
{
    private const int IdleMilliseconds = 90_000;
    private const int PerDestinationMax = 1024;

    private readonly Dictionary<Destination, List<Upstream>> _waiting = [];

    /// <summary>The one that waits for the shortest time; null = none waits.</summary>
    public Upstream? Take(Destination destination)
    {
        if (!_waiting.TryGetValue(destination, out var list) || list.Count == 0) return null;
        var upstream = list[^1];
        list.RemoveAt(list.Count - 1);
        return upstream;
    }

    public void Give(Upstream upstream)
    {
        upstream.User = null;
        upstream.IsUsed = true;
        if (upstream.Destination.IsClosed || !upstream.IsQuiet)
        {
            upstream.Close();
            return;
        }
        upstream.Kept = 0;
        if (!_waiting.TryGetValue(upstream.Destination, out var list)) _waiting[upstream.Destination] = list = [];
        if (list.Count == PerDestinationMax) upstream.Close();
        else
        {
            upstream.Deadline = loop.Now + IdleMilliseconds;
            list.Add(upstream);
        }
    }

    public void Drop(Upstream upstream)
    {
        if (_waiting.TryGetValue(upstream.Destination, out var list)) list.Remove(upstream);
        upstream.Close();
    }

    /// <summary>The endpoint takes no requests any longer.</summary>
    public void Forget(Destination destination)
    {
        if (!_waiting.Remove(destination, out var list)) return;
        foreach (var upstream in list) upstream.Close();
    }

    /// <summary>At the end of the loop.</summary>
    public void CloseAll()
    {
        foreach (var upstream in _waiting.Values.SelectMany(x => x)) upstream.Close();
        _waiting.Clear();
    }
}
