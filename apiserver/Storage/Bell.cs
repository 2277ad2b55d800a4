namespace Declarative.ApiServer.Storage;

/// <summary>Wakes the one who waits for it, in the thread of who rings. A ring that nobody waits for is kept for the next who does.</summary>
internal sealed class Bell
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _waiting;
    private bool _rung;

    public Task Rung()
    {
        lock (_gate)
        {
            if (!_rung) return (_waiting = new()).Task;
            _rung = false;
            return Task.CompletedTask;
        }
    }

    public void Ring()
    {
        TaskCompletionSource? waiting;
        lock (_gate)
        {
            (waiting, _waiting) = (_waiting, null);
            _rung = waiting is null;
        }
        waiting?.TrySetResult();
    }
}
