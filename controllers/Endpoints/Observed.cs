using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Endpoints;

/// <summary>
/// Up to which revision the changes of pods stand in the slices: just below the first change that a Service has not taken in yet, or the newest
/// change where all have.
/// </summary>
internal sealed class Observed
{
    private readonly Lock _lock = new();
    private readonly Dictionary<ObjectName, long> _waiting = [];
    private readonly Dictionary<ObjectName, long> _running = [];
    private readonly SortedDictionary<long, int> _first = [];
    private long _newest;

    /// <summary>The highest revision that marked a pod as going: what the killing of its task waits for.</summary>
    public long Awaited { get; private set; }

    public long Revision
    {
        get
        {
            lock (_lock) return _first.Count > 0 ? _first.First().Key - 1 : _newest;
        }
    }

    /// <summary>A change of a pod that these Services have to take in; none = it concerns no slice.</summary>
    public void Changed(long revision, IReadOnlyList<ObjectName> services, bool marksDeletion)
    {
        lock (_lock)
        {
            foreach (var service in services)
            {
                if (_waiting.TryAdd(service, revision)) Count(revision, 1);
            }
            _newest = Math.Max(_newest, revision);
            if (marksDeletion) Awaited = Math.Max(Awaited, revision);
        }
    }

    /// <summary>The plan of this Service is made from the state as it is now.</summary>
    public void Started(ObjectName service)
    {
        lock (_lock)
        {
            if (_waiting.Remove(service, out var revision)) _running[service] = revision;
        }
    }

    /// <summary>Its slices are written, or they could not be and it is tried again.</summary>
    public void Finished(ObjectName service, bool achieved)
    {
        lock (_lock)
        {
            if (!_running.Remove(service, out var revision)) return;
            if (!achieved)
            {
                if (_waiting.Remove(service, out var later)) Count(later, -1);
                _waiting[service] = revision;
                return;
            }
            Count(revision, -1);
        }
    }

    private void Count(long revision, int by)
    {
        var count = _first.GetValueOrDefault(revision) + by;
        if (count == 0) _first.Remove(revision);
        else _first[revision] = count;
    }
}
