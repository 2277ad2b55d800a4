using Declarative.Api;

namespace Declarative.ApiServer.Storage;

/// <summary>A watcher's position in one kind's history, or in what happens in one namespace or to one object of it.</summary>
internal sealed class KindCursor : IDisposable
{
    private readonly RevisionLog _log;
    private readonly Lock _gate;
    private readonly KindLog _kind;
    private readonly WatchGroup _group;
    private readonly List<LogEntry> _page = [];
    private long _at;
    private bool _left;

    /// <param name="log">Whose <paramref name="gate"/> is held by the caller.</param>
    /// <param name="scope">Changes outside of it may be passed over.</param>
    /// <param name="isQuick">See <see cref="WatchRequest.IsQuick"/>.</param>
    internal KindCursor(RevisionLog log, Lock gate, KindLog kind, ObjectName scope, long from, bool isQuick)
    {
        (_log, _gate, _kind) = (log, gate, kind);
        if (from < kind.TrimmedThrough) throw Api.Objects.Status.Expired(from, kind.TrimmedThrough);
        if (from > log.Revision) throw Api.Objects.Status.RevisionTooLarge(from, log.Revision);
        _at = kind.Seek(from);
        _group = kind.Join(scope, isQuick);
        Revision = from;
    }

    /// <summary>Every change of the scope up to here has been read.</summary>
    public long Revision { get; private set; }

    /// <summary>
    /// The next changes, in order, those of other scopes perhaps among them; empty when there are none yet, then
    /// <paramref name="changed"/> completes at the next one. Throws 410 when this watcher has fallen behind the history.
    /// </summary>
    public List<LogEntry> Read(out Task changed)
    {
        _page.Clear();
        lock (_gate)
        {
            changed = _group.Changed;
            if (_group.Scope.Last < _at) _at = _kind.Next;
            else if (!_kind.Read(_at, _page, StoreLimits.WatchPageEventsMax)) throw Api.Objects.Status.Expired(Revision, _kind.TrimmedThrough);
            _at += _page.Count;
            Revision = _page.Count == 0 ? Math.Max(Revision, _log.Revision) : _page[^1].Object.Revision;
        }
        return _page;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (!_left) _kind.Leave(_group);
            _left = true;
        }
    }
}
