using Declarative.Api;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// What some watchers of a kind have in common: all of the kind, one namespace, or one object. A change wakes the scopes it lies in and
/// no other watcher, so that its cost does not grow with the watchers of something else.
/// </summary>
/// <remarks>Guarded by the lock of its <see cref="RevisionLog"/>.</remarks>
internal sealed class WatchScope(ObjectName name, long last)
{
    private readonly List<WatchGroup> _groups = [];

    /// <summary>Namespace and name that changes must have; empty = any.</summary>
    public ObjectName Name { get; } = name;

    /// <summary>The sequence number of the newest change in this scope, or an upper bound of it.</summary>
    public long Last { get; private set; } = last;

    public bool IsEmpty => _groups.Count == 0;

    /// <param name="isQuick">See <see cref="WatchRequest.IsQuick"/>.</param>
    public WatchGroup Join(bool isQuick)
    {
        var group = _groups.Find(x => x.IsQuick == isQuick && x.Watchers < StoreLimits.WatchersWokenAtOnceMax);
        if (group is null) _groups.Add(group = new(this, isQuick));
        group.Watchers++;
        return group;
    }

    public void Leave(WatchGroup group)
    {
        if (--group.Watchers == 0) _groups.Remove(group);
    }

    public void Touch(long sequence, WatchWaker waker)
    {
        Last = sequence;
        foreach (var group in _groups) waker.Add(group);
    }
}

/// <summary>Watchers of one scope that are woken together.</summary>
internal sealed class WatchGroup(WatchScope scope, bool isQuick)
{
    private TaskCompletionSource _changed = Signal(isQuick);

    public WatchScope Scope => scope;

    public int Watchers { get; set; }

    public bool IsQuick => isQuick;

    /// <summary>A change has happened that these watchers are yet to be woken for.</summary>
    private bool IsWaiting { get; set; }

    /// <summary>Completes at a change in the scope.</summary>
    public Task Changed => _changed.Task;

    /// <summary>Since when it waits for its turn: the time of the first change that these watchers are yet to be woken for.</summary>
    public long WaitsSince { get; private set; }

    /// <summary>How many changes there were since then.</summary>
    public int Changes { get; private set; }

    /// <summary>One change more; false where it waits already.</summary>
    public bool MustWait(long now)
    {
        Changes++;
        if (IsWaiting) return false;
        WaitsSince = now;
        return IsWaiting = true;
    }

    /// <summary>What to complete to wake these watchers.</summary>
    public TaskCompletionSource Take()
    {
        IsWaiting = false;
        Changes = 0;
        var signal = _changed;
        _changed = Signal(isQuick);
        return signal;
    }

    private static TaskCompletionSource Signal(bool isQuick) => isQuick ? new() : Completion.New();
}
