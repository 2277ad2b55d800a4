using Declarative.Api.Objects;

namespace Declarative.Api;

/// <summary>One revision of an object as it is stored, watched and served.</summary>
/// <param name="Json">UTF-8 JSON with apiVersion, kind and metadata.resourceVersion; shared by all readers and never changed.</param>
public sealed record Stored(ResourceKey Key, string Uid, long Revision, ReadOnlyMemory<byte> Json)
{
    private Reading? _view;

    private Stored(Stored other) => (Key, Uid, Revision, Json) = (other.Key, other.Uid, other.Revision, other.Json);

    /// <summary>Another form of these bytes that the server has made and keeps for as long as them; a copy begins without.</summary>
    public object? Made { get; set; }

    /// <summary>
    /// The object as <paramref name="read"/> makes it of the bytes. What the last reader has made is kept: of several who follow the same
    /// objects in one process with the same reader, one decodes.
    /// </summary>
    public T View<T>(Func<ReadOnlyMemory<byte>, T> read) where T : class
    {
        if (_view is { } known && known.Read.Equals(read)) return (T)known.View;
        var view = read(Json);
        _view = new(read, view);
        return view;
    }

    /// <summary>The metadata alone: of the view that a reader has made of these bytes, where there is one that <paramref name="read"/> need not make again.</summary>
    public ApiObject Metadata(Func<ReadOnlyMemory<byte>, ApiObject> read) =>
        _view is { View: ApiObject known } ? new() { ApiVersion = known.ApiVersion, Kind = known.Kind, Metadata = known.Metadata } : read(Json);

    private sealed record Reading(Delegate Read, object View);

    public bool Equals(Stored? other) => other is not null && Key == other.Key && Uid == other.Uid && Revision == other.Revision && Json.Equals(other.Json);

    public override int GetHashCode() => HashCode.Combine(Key, Uid, Revision);
}

/// <summary>A page of a LIST. All items are from the one snapshot <paramref name="Revision"/>.</summary>
/// <param name="Continue">Opaque token for the next page, "" on the last one.</param>
/// <param name="RemainingItems">Items after this page, null where a selector makes that unknown.</param>
public sealed record StoredList(IReadOnlyList<Stored> Items, long Revision, string Continue, long? RemainingItems);

public enum WatchEventType
{
    Added,
    Modified,
    Deleted,

    /// <summary>Carries only a revision: everything up to it has been sent.</summary>
    Bookmark,
}

/// <summary>One change seen by a watcher.</summary>
/// <param name="Object">The object after the change (for Deleted: its last state, at the revision of the deletion); null for a bookmark.</param>
/// <param name="InitialEventsEnd">True on the bookmark that ends a streaming list (<c>sendInitialEvents</c>).</param>
public sealed record WatchEvent(WatchEventType Type, long Revision, Stored? Object, bool InitialEventsEnd = false);
