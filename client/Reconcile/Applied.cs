using Declarative.Api;

namespace Declarative.Client.Reconcile;

/// <summary>How a change ended. Everything but <see cref="Refused"/> is part of normal life with several writers.</summary>
public enum Outcome
{
    Done,

    /// <summary>409: the object has moved on, or the precondition names another one.</summary>
    Conflict,
    NotFound,
    AlreadyExists,

    /// <summary>Any other answer of the server.</summary>
    Refused,
}

/// <param name="Written">The object as written; null unless <see cref="Outcome.Done"/>.</param>
/// <param name="Error">null for <see cref="Outcome.Done"/>.</param>
public sealed record Applied(Change Change, Outcome Outcome, Stored? Written, ApiException? Error)
{
    /// <summary>The world is as the change wants it: done, or a deletion of what is gone already.</summary>
    public bool IsAchieved => Outcome == Outcome.Done || (Change is Delete && Outcome == Outcome.NotFound);
}
