using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// The loop of what the API server itself keeps in order after each change of some kinds. Every API server of a store may run it: each step is
/// a conditional write.
/// </summary>
internal static class Upkeep
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    /// <summary>Ends when <paramref name="stop"/> is set. Its owner awaits it.</summary>
    /// <param name="tend">True where something is left to be looked at again soon.</param>
    public static async Task Of(RevisionLog log, IReadOnlyList<Kind> kinds, Func<CancellationToken, Task<bool>> tend, TimeProvider time, CancellationToken stop)
    {
        var stopped = Completion.New();
        using var registration = stop.Register(() => stopped.TrySetResult());
        using var timers = new CancellationTokenSource();
        while (!stop.IsCancellationRequested)
        {
            var cursors = kinds.Select(log.WatchFromNow).ToList();
            try
            {
                var changed = Task.WhenAny(cursors.Select(Changed));
                var busy = false;
                try
                {
                    busy = await tend(stop);
                }
                catch (Exception e) when (stop.IsCancellationRequested && e is ApiException or OperationCanceledException)
                {
                    break; // The store is closing: the next start goes on.
                }
                catch (ApiException e) when (e.IsRetryable || e.IsConflict || e.IsNotFound || e.Status.Reason == StatusReason.AlreadyExists)
                {
                    busy = true; // Somebody else was quicker.
                }
                if (busy) await Task.WhenAny(Task.Delay(LookAgain, time, timers.Token), changed, stopped.Task);
                else await Task.WhenAny(changed, stopped.Task);
            }
            finally
            {
                foreach (var cursor in cursors) cursor.Dispose();
            }
        }
        timers.Cancel();
    }

    private static Task Changed(KindCursor cursor)
    {
        cursor.Read(out var changed);
        return changed;
    }
}
