namespace Declarative.Client;

/// <summary>
/// Makes the sources of tasks that loops of this folder complete. In a world with one thread (a SynchronizationContext is set) what waits
/// runs on at once, in a fixed order; a source with RunContinuationsAsynchronously would send <c>WhenAny</c> and <c>WhenAll</c> to the thread
/// pool there. Without a context waiters run on the pool and never on the stack of the one who completed.
/// </summary>
internal static class Completion
{
    public static TaskCompletionSource New() => new(Options);

    public static TaskCompletionSource<T> New<T>() => new(Options);

    private static TaskCreationOptions Options =>
        SynchronizationContext.Current is null ? TaskCreationOptions.RunContinuationsAsynchronously : TaskCreationOptions.None;
}
