namespace Declarative.Api;

/// <summary>
/// Makes the TaskCompletionSources of this platform. In real life their continuations run asynchronously, so that completing one under
/// load never runs foreign code. Inside the simulated world (a SynchronizationContext is current) they do not: WhenAny, WhenAll and
/// WaitAsync hand asynchronous continuations to the thread pool, which would leave the world's one thread; the world itself keeps
/// awaiting code from running inline.
/// </summary>
public static class Completion
{
    public static TaskCompletionSource New() => new(Options());

    public static TaskCompletionSource<T> New<T>() => new(Options());

    private static TaskCreationOptions Options() =>
        SynchronizationContext.Current is null ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None;

    /// <summary>Completes when all loops have ended, and fails as soon as one has failed: the others would go on without it.</summary>
    public static async Task OfAll(params Task[] loops)
    {
        await await Task.WhenAny(loops);
        await Task.WhenAll(loops);
    }
}
