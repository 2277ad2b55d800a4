using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy;

/// <summary>Ends a request whose answer does not begin in time, and an upgraded connection that lasts too long; a feature of the request.</summary>
internal sealed class HeadTimer : IDisposable
{
    private readonly CancellationTokenSource _source;
    private readonly TimeSpan? _tunnel;
    private volatile bool _arrived;

    public HeadTimer(BackendSettings settings, CancellationToken client)
    {
        _source = CancellationTokenSource.CreateLinkedTokenSource(client);
        _tunnel = settings.TunnelTimeout;
        if (settings.HeaderTimeout is { } limit) _source.CancelAfter(limit);
    }

    public CancellationToken Token => _source.Token;

    /// <summary>The time for the head of the answer is over.</summary>
    public bool IsLate => _source.IsCancellationRequested && !_arrived;

    public void HeadArrived(bool upgraded)
    {
        _arrived = true;
        _source.CancelAfter(upgraded && _tunnel is { } limit ? limit : Timeout.InfiniteTimeSpan);
    }

    public void Dispose() => _source.Dispose();
}
