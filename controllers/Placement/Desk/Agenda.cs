namespace Declarative.Controllers.Placement.Desk;

/// <summary>Pods that want to be looked at again at a time. A pod may stand there several times; looking too often does no harm.</summary>
internal sealed class Agenda
{
    private readonly PriorityQueue<PodRecord, (DateTimeOffset Due, long Order)> _queue = new();
    private long _order;

    public DateTimeOffset? Next => _queue.TryPeek(out _, out var at) ? at.Due : null;

    public void Add(PodRecord record, DateTimeOffset due) => _queue.Enqueue(record, (due, _order++));

    public bool TryTake(DateTimeOffset now, out PodRecord record)
    {
        if (_queue.TryPeek(out record!, out var at) && at.Due <= now)
        {
            _queue.Dequeue();
            return true;
        }
        return false;
    }
}
