using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// The loop of what the API server itself keeps in order after each change of a kind. Every API server of a store may run it: each step is a
/// conditional write.
/// </summary>
internal static class Upkeep
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    /// <summary>Ends when <paramref name="stop"/> is set. Its owner awaits it.</summary>
    /// <param name="tend">True where something is left to be looked at again soon.</param>
    public static async Task Of(RevisionLog log, Kind kind, Func<CancellationToken, Task<bool>> tend, TimeProvider time, CancellationToken stop)
    {
        var stopped = Completion.New();
        using var registration = stop.Register(() => stopped.TrySetResult());
        using var timers = new CancellationTokenSource();
        while (!stop.IsCancellationRequested)
        {
            using var cursor = log.WatchFromNow(kind);
            cursor.Read(out var changed);
            var busy = false;
            try
            {
                busy = await tend(stop);
            }
            catch (Exception e) when (stop.IsCancellationRequested && e is ApiException or OperationCanceledException)
            {
                break; // The store is closing: the next start goes on.
            }
            catch (ApiException e) when (e.IsRetryable || e.IsConflict || e.IsNotFound)
            {
                busy = true;
            }
            if (busy) await Task.WhenAny(Task.Delay(LookAgain, time, timers.Token), changed, stopped.Task);
            else await Task.WhenAny(changed, stopped.Task);
        }
        timers.Cancel();
    }
}
