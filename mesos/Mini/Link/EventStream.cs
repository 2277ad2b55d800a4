using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Link;

/// <summary>
/// The events of one subscriber of a master or of an agent, in order. Who writes never waits; one reader takes them out. A subscriber that
/// falls too far behind loses its stream and subscribes again.
/// </summary>
internal sealed class EventStream<T>(string id)
{
    private readonly Channel<T> _channel = Channel.CreateUnbounded<T>(new() { SingleReader = true });
    private int _queued;

    /// <summary>The Mesos-Stream-Id.</summary>
    public string Id { get; } = id;

    public void Send(T message)
    {
        if (Interlocked.Increment(ref _queued) > Limits.EventsQueuedMax)
            _channel.Writer.TryComplete();
        else
            _channel.Writer.TryWrite(message);
    }

    /// <summary>No more events; the reader still gets those that were sent.</summary>
    public void Close() => _channel.Writer.TryComplete();

    public ValueTask<bool> Wait(CancellationToken stop) => _channel.Reader.WaitToReadAsync(stop);

    public bool TryRead([System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out T message)
    {
        if (!_channel.Reader.TryRead(out message))
            return false;
        Interlocked.Decrement(ref _queued);
        return true;
    }
}
