using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Client.Informers;

/// <summary>The part of an informer that does not depend on the type of its objects: how far it has seen.</summary>
public abstract class Informer
{
    private readonly Lock _lock = new();
    private readonly List<(long Revision, TaskCompletionSource Source)> _waiting = [];
    private readonly TaskCompletionSource _synced = Completion.New();
    private long _revision;

    private protected Informer(Kind kind) => Kind = kind;

    public Kind Kind { get; }

    /// <summary>null = all namespaces.</summary>
    public string? Namespace { get; init; }

    /// <summary>
    /// Highest revision observed since the server's history began, bookmarks included: every change of the selected objects up to it stands in
    /// the view and has been given to the handlers.
    /// </summary>
    public long Revision => Volatile.Read(ref _revision);

    /// <summary>True once the first list stands in the view and its handlers have run.</summary>
    public bool HasSynced => _synced.Task.IsCompletedSuccessfully;

    /// <summary>Completes when <see cref="HasSynced"/> becomes true.</summary>
    public Task Synced => _synced.Task;

    /// <summary>The loop: returns when stopped, and throws nothing.</summary>
    public abstract Task Run(CancellationToken stop);

    /// <summary>Completes when <see cref="Revision"/> is at least this, or when the server was restored to an earlier one.</summary>
    public async Task WaitFor(long revision, CancellationToken stop = default)
    {
        TaskCompletionSource source;
        lock (_lock)
        {
            if (_revision >= revision) return;
            source = Api.Completion.New();
            _waiting.Add((revision, source));
        }
        using var registration = stop.Register(() => source.TrySetCanceled(stop));
        try
        {
            await source.Task;
        }
        finally
        {
            if (!source.Task.IsCompletedSuccessfully)
            {
                lock (_lock) _waiting.RemoveAll(x => x.Source == source);
            }
        }
    }

    /// <summary>Completes when the view no longer shows the object, or shows it marked for deletion, or another one of its name.</summary>
    public async Task WaitForDeletion(ResourceKey key, string uid, CancellationToken stop = default)
    {
        while (true)
        {
            var seen = Revision;
            if (!ShowsAlive(key, uid)) return;
            await WaitFor(seen + 1, stop);
        }
    }

    private protected abstract bool ShowsAlive(ResourceKey key, string uid);

    private protected void Reached(long revision)
    {
        List<TaskCompletionSource>? reached = null;
        lock (_lock)
        {
            if (revision <= _revision) return;
            Volatile.Write(ref _revision, revision);
            for (var i = 0; i < _waiting.Count;)
            {
                if (_waiting[i].Revision > revision)
                {
                    i++;
                    continue;
                }
                (reached ??= []).Add(_waiting[i].Source);
                _waiting.RemoveAt(i);
            }
        }
        if (reached is null) return;
        foreach (var source in reached) source.TrySetResult();
    }

    /// <summary>
    /// The server's history has begun anew, at an earlier revision: it was restored. What is waited for may never come; whoever waits looks at what
    /// there is now.
    /// </summary>
    private protected void BeganAnew(long revision)
    {
        List<TaskCompletionSource> waiting;
        lock (_lock)
        {
            Volatile.Write(ref _revision, revision);
            waiting = [.. _waiting.Select(x => x.Source)];
            _waiting.Clear();
        }
        foreach (var source in waiting) source.TrySetResult();
    }

    private protected void SetSynced() => _synced.TrySetResult();
}
