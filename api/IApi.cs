using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Api;

/// <summary>
/// The Kubernetes API as bytes, bound to one user. Two implementations: the API server in this process, and HTTPS to a remote one.
/// Every method throws <see cref="ApiException"/> with the Status that an HTTP client would get.
/// </summary>
public interface IApi
{
    /// <param name="subresource">"" for the object itself, else for example "scale" or "status".</param>
    Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default);

    Task<StoredList> List(ListRequest request, CancellationToken stop = default);

    /// <summary>
    /// Changes from a revision on, in order, without gaps. Throws 410 Expired when the revision is no longer in the history;
    /// ends when <see cref="WatchRequest.Timeout"/> has passed or the connection is gone. Resume from the last revision seen.
    /// </summary>
    IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, CancellationToken stop = default);

    /// <param name="key">The name is "" where the object has generateName or names itself in its metadata.</param>
    Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default);

    /// <summary>Replaces the object. With metadata.resourceVersion in it, only that revision (else 409 Conflict).</summary>
    Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default);

    Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default);

    /// <summary>Deletes, or marks with a deletionTimestamp where finalizers or a grace period ask for it. The result is the last or the marked state.</summary>
    Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default);
}

/// <summary>What to list. Namespace null = all namespaces.</summary>
public sealed record ListRequest(Kind Kind, string? Namespace = null)
{
    public LabelSelector Labels { get; init; } = LabelSelector.Everything;
    public FieldSelector Fields { get; init; } = FieldSelector.Everything;

    /// <summary>Items per page, 0 = all.</summary>
    public int Limit { get; init; }
    public string Continue { get; init; } = "";

    /// <summary>null = the newest state; 0 = any; else at least (or with <see cref="ExactRevision"/> exactly) this revision.</summary>
    public long? Revision { get; init; }
    public bool ExactRevision { get; init; }
}

/// <summary>What to watch. Namespace null = all namespaces.</summary>
public sealed record WatchRequest(Kind Kind, string? Namespace = null)
{
    public LabelSelector Labels { get; init; } = LabelSelector.Everything;
    public FieldSelector Fields { get; init; } = FieldSelector.Everything;

    /// <summary>Events after this revision. null or 0 = first an Added event for each present object, then changes.</summary>
    public long? From { get; init; }
    public bool Bookmarks { get; init; }

    /// <summary>
    /// The longest time that a watcher with <see cref="Bookmarks"/> learns nothing of a revision that other kinds have moved on to;
    /// null = the server's own interval (10 s). The platform's informers ask for less, because traffic reports wait for it.
    /// </summary>
    public TimeSpan? BookmarkEvery { get; init; }

    /// <summary>Added events for present objects, then a bookmark with <see cref="WatchEvent.InitialEventsEnd"/>, then changes.</summary>
    public bool SendInitialEvents { get; init; }

    /// <summary>null = the server's own limit.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>
    /// What the caller does with an event is short and never waits: in the server's own process it may run in the thread that wakes watchers, one
    /// after the other. False = in a thread of the pool.
    /// </summary>
    public bool IsQuick { get; init; }
}

public enum PatchKind
{
    /// <summary>RFC 6902, application/json-patch+json.</summary>
    Json,

    /// <summary>RFC 7386, application/merge-patch+json.</summary>
    Merge,

    /// <summary>application/strategic-merge-patch+json, by the merge keys of the schema.</summary>
    Strategic,

    /// <summary>Server-side apply, application/apply-patch+yaml.</summary>
    Apply,
}

/// <summary>How unknown and duplicate fields of a body are treated (the fieldValidation parameter).</summary>
public enum FieldValidation
{
    Warn,
    Strict,
    Ignore,
}

public sealed record WriteOptions
{
    /// <summary>"" = the object, else "status", "scale", "binding", "eviction" …</summary>
    public string Subresource { get; init; } = "";
    public bool DryRun { get; init; }
    public string FieldManager { get; init; } = "";
    public FieldValidation FieldValidation { get; init; } = FieldValidation.Warn;

    /// <summary>Server-side apply takes over fields of other managers.</summary>
    public bool Force { get; init; }

    /// <summary>Receives what the server wants the user to know (HTTP <c>Warning:</c>), at most <see cref="Limits.WarningsMax"/>.</summary>
    public ICollection<string>? Warnings { get; init; }

    /// <summary>Receives what admission adds to the request's audit event, by its key.</summary>
    public IDictionary<string, string>? AuditAnnotations { get; init; }
}

public enum Propagation
{
    /// <summary>The kind's default (Background for all kinds of this platform).</summary>
    Default,
    Background,
    Foreground,
    Orphan,
}

public sealed record DeleteOptions
{
    /// <summary>Seconds; null = the object's own (a pod's terminationGracePeriodSeconds), 0 = at once.</summary>
    public long? GracePeriodSeconds { get; init; }
    public Propagation Propagation { get; init; } = Propagation.Default;

    /// <summary>Preconditions: another uid or revision is answered with 409.</summary>
    public string? Uid { get; init; }
    public long? Revision { get; init; }
    public bool DryRun { get; init; }
    public ICollection<string>? Warnings { get; init; }

    /// <summary>As of <see cref="WriteOptions"/>.</summary>
    public IDictionary<string, string>? AuditAnnotations { get; init; }
}
