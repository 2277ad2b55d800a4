using Declarative.Api.Objects;

namespace Declarative.Api;

/// <summary>A request that was refused, with the Status the client sees. Made by the factories of <see cref="Objects.Status"/>.</summary>
public sealed class ApiException(Status status) : Exception(status.Message)
{
    public Status Status { get; } = status;
    public int Code => Status.Code;

    /// <summary>The user has not the right to ask this, whatever is asked in particular.</summary>
    public bool IsOfRights { get; init; }

    /// <summary>The server said nothing: it could not be reached, or went away before its answer.</summary>
    public bool IsOutOfReach { get; init; }

    /// <summary>409 because the object has changed (not because it exists already).</summary>
    public bool IsConflict => Status.Reason == StatusReason.Conflict;
    public bool IsNotFound => Status.Code == 404;
    public bool IsExpired => Status.Code == 410;

    /// <summary>The server has not come as far as the revision asked for: it lags, or was restored.</summary>
    public bool IsRevisionTooLarge => Status.Causes.Any(x => x.Reason == CauseReason.RevisionTooLarge);

    /// <summary>True where the same request may succeed later without a change by the caller.</summary>
    public bool IsRetryable => Status.Code is 408 or 429 or 500 or 502 or 503 or 504;
}
