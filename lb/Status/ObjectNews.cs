using System.Collections.Concurrent;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Status;

/// <summary>What there is to say of objects that have no conditions: one event when a problem comes or changes, and one when it is gone.</summary>
/// <param name="problem">Reason of the warning, CamelCase.</param>
/// <param name="solved">Reason of the event when the problem is gone.</param>
internal sealed class ObjectNews(string problem, string solved, string solvedMessage)
{
    private readonly ConcurrentDictionary<ServiceKey, Standing> _standings = new();
    private readonly ConcurrentDictionary<ServiceKey, Standing> _told = new();

    /// <param name="uid">null = nothing is to be said of it (any more).</param>
    /// <param name="text">"" = all is well.</param>
    /// <returns>True where it differs from what was set before.</returns>
    public bool Set(ServiceKey key, string? uid, string text)
    {
        if (uid is null)
        {
            _told.TryRemove(key, out _);
            return _standings.TryRemove(key, out _);
        }
        var standing = new Standing(uid, text);
        var before = _standings.GetValueOrDefault(key);
        _standings[key] = standing;
        return standing != before;
    }

    /// <summary>The event that the user has not been given yet; null = none.</summary>
    public EventNote? Take(ApiObject thing, Kind kind)
    {
        var key = new ServiceKey(thing.Namespace, thing.Name);
        if (_standings.GetValueOrDefault(key) is not { } standing || standing.Uid != thing.Uid) return null;
        var before = _told.GetValueOrDefault(key);
        _told[key] = standing;
        if (standing == before) return null;
        var about = Body.Reference(kind, thing);
        if (standing.Problem.Length > 0) return EventNote.Warning(about, problem, standing.Problem);
        return before is { Problem.Length: > 0 } && before.Uid == standing.Uid ? EventNote.Normal(about, solved, solvedMessage) : null;
    }

    private sealed record Standing(string Uid, string Problem);
}
