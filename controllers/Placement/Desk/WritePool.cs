using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Asynchronous work begun by the desk's loop, so many at once; each ends with an action on the loop.</summary>
internal sealed class WritePool(int max, Inbox inbox, ILogger logger)
{
    /// <summary>So many of what goes before are followed by one that is later, so that a flood of statuses starves no launch.</summary>
    private const int BeforeOneLater = 4;

    private readonly Queue<Func<Task<Action>>> _waiting = new();
    private readonly Queue<Func<Task<Action>>> _later = new();
    private readonly List<Task> _tasks = [];
    private int _running;
    private int _before;

    public int Count => _waiting.Count + _later.Count + _running;

    /// <param name="work">Runs off the loop and returns what the loop shall do with its result. It handles its own errors.</param>
    /// <param name="isLater">It begins something new: what tells of what was begun goes before it.</param>
    public void Add(Func<Task<Action>> work, bool isLater = false)
    {
        if (_running >= max)
        {
            (isLater ? _later : _waiting).Enqueue(work);
            return;
        }
        _running++;
        if (_tasks.Count > 2 * max) _tasks.RemoveAll(x => x.IsCompleted);
        _tasks.Add(Run(work));
    }

    /// <summary>After the loop has ended: waits for what is in flight.</summary>
    public async Task End()
    {
        _waiting.Clear();
        _later.Clear();
        foreach (var task in _tasks) await task;
    }

    private async Task Run(Func<Task<Action>> work)
    {
        await Task.Yield();
        Action then = static () => { };
        try
        {
            then = await work();
        }
        catch (Exception e) // the pool's bulkhead: a bug in one write must not lose its place in the pool
        {
            Log.ActionFailed(logger, e);
        }
        inbox.Post(() =>
        {
            _running--;
            if (TryTake(out var next)) Add(next);
            then();
        });
    }

    private bool TryTake(out Func<Task<Action>> next)
    {
        if ((_before < BeforeOneLater || _later.Count == 0) && _waiting.TryDequeue(out next!))
        {
            _before++;
            return true;
        }
        _before = 0;
        return _later.TryDequeue(out next!);
    }
}
