using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>
/// What has happened, as actions that run one after the other on the desk's loop: the desk's state needs no locks. Sources on any thread post.
/// </summary>
internal sealed class Inbox(TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>Actions between two looks at what they ask for: keeps a flood of events from holding up placement.</summary>
    private const int BatchMax = 1_000;

    private readonly Channel<Action> _actions = Channel.CreateUnbounded<Action>(new() { SingleReader = true });
    private ITimer? _timer;
    private DateTimeOffset _timerDue = DateTimeOffset.MaxValue;

    public void Post(Action action) => _actions.Writer.TryWrite(action);

    /// <param name="settle">Called after each batch; returns when to call it again without news.</param>
    public async Task Run(Func<DateTimeOffset?> settle, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            for (var i = 0; i < BatchMax && _actions.Reader.TryRead(out var action); i++) Guarded(action);
            Arm(settle());
            if (_actions.Reader.TryPeek(out _)) continue;
            try
            {
                if (!await _actions.Reader.WaitToReadAsync(stop)) return;
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    public void Dispose() => _timer?.Dispose();

    private void Guarded(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) // the desk's bulkhead: one pod's bug must not stop the placement of others
        {
            Log.ActionFailed(logger, e);
        }
    }

    private void Arm(DateTimeOffset? due)
    {
        if (due is not { } at || at == _timerDue) return;
        _timerDue = at;
        var delay = at - time.GetUtcNow();
        // At least a moment: what is due and cannot be done now must not make the loop spin.
        delay = TimeSpan.FromMilliseconds(Math.Max(1, Math.Ceiling(delay.TotalMilliseconds)));
        if (_timer is null) _timer = time.CreateTimer(static inbox => ((Inbox)inbox!).Wake(), this, delay, Timeout.InfiniteTimeSpan);
        else _timer.Change(delay, Timeout.InfiniteTimeSpan);
    }

    private void Wake() => Post(() => _timerDue = DateTimeOffset.MaxValue);
}
