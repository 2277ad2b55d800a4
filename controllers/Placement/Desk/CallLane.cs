using System.Threading.Channels;
using Declarative.Api;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using Microsoft.Extensions.Logging;

namespace Declarative.Controllers.Placement.Desk;

internal enum CallEnd
{
    Taken,

    /// <summary>The master said no: it has not taken effect.</summary>
    Refused,

    /// <summary>Its subscription had ended before.</summary>
    NotSent,

    /// <summary>The answer was lost: it may have taken effect.</summary>
    Unknown,
}

/// <summary>
/// Calls to the master in the order in which they were made. Where their order means nothing they do not wait for each other's answers: ACCEPTs,
/// which are of different agents, and where <paramref name="atOnce"/> says so: each that is answered makes room for one, whichever was sent first. A call of an ended subscription is not sent, nor any when another
/// may lead by now.
/// </summary>
/// <param name="atOnce">Calls on their way at a time; 1 keeps the order of all but ACCEPTs among themselves.</param>
internal sealed class CallLane(IMaster master, Inbox inbox, Func<bool> mayAct, ILogger logger, int atOnce = 1)
{
    private const int AcceptsAtOnce = 16;

    private readonly OnTheWay _onTheWay = new();
    private readonly Channel<Entry> _calls = Channel.CreateUnbounded<Entry>(new() { SingleReader = true });

    /// <summary>The subscription that calls belong to; raised by the desk when the stream ends.</summary>
    public int Epoch { get; set; }

    private readonly record struct Entry(Call Call, int Epoch, Action<CallEnd, string>? Then);

    /// <param name="then">Runs on the desk's loop, with the master's text where it has refused.</param>
    public void Send(Call call, Action<CallEnd, string>? then = null) => _calls.Writer.TryWrite(new(call, Epoch, then));

    public async Task Run(CancellationToken stop)
    {
        var sent = new List<Task>();
        try
        {
            while (await _calls.Reader.WaitToReadAsync(stop))
            {
                while (_calls.Reader.TryRead(out var entry))
                {
                    var most = entry.Call.Type is Call.Types.Type.Accept ? Math.Max(AcceptsAtOnce, atOnce) : atOnce;
                    await _onTheWay.Below(most);
                    _onTheWay.Enter();
                    var call = Send(entry, stop);
                    if (most == 1)
                    {
                        await call;
                        continue;
                    }
                    if (sent.Count >= 2 * most) sent.RemoveAll(static x => x.IsCompleted);
                    sent.Add(call);
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            foreach (var call in sent) await call;
        }
    }

    private async Task Send(Entry entry, CancellationToken stop)
    {
        try
        {
            // A call that was queued under a stream that has ended was never sent.
            var (end, why) = entry.Epoch == Epoch && mayAct() ? await Attempt(entry.Call, stop) : (CallEnd.NotSent, "");
            if (entry.Then is { } then) inbox.Post(() => then(end, why));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return;
        }
        finally
        {
            _onTheWay.Leave();
        }
    }

    private async Task<(CallEnd End, string Why)> Attempt(Call call, CancellationToken stop)
    {
        try
        {
            await master.Call(call, stop);
            return (CallEnd.Taken, "");
        }
        catch (CallRefused e)
        {
            Log.CallRefused(logger, call.Type.ToString(), e.Status, e.Text);
            return (CallEnd.Refused, e.Text);
        }
        catch (MasterUnavailable e)
        {
            Log.CallLost(logger, call.Type.ToString(), e.Message);
            return (CallEnd.Unknown, e.Message);
        }
        catch (Exception e) when (!stop.IsCancellationRequested) // the call's bulkhead: a bug in one must not end the lane of all
        {
            Log.ActionFailed(logger, e);
            return (CallEnd.Unknown, e.Message);
        }
    }

    /// <summary>How many calls have no answer yet; the lane's loop waits until they are fewer.</summary>
    private sealed class OnTheWay
    {
        private readonly Lock _gate = new();
        private TaskCompletionSource? _fewer;
        private int _count;
        private int _below;

        public void Enter()
        {
            lock (_gate) _count++;
        }

        public void Leave()
        {
            TaskCompletionSource? fewer;
            lock (_gate)
            {
                if (--_count >= _below) return;
                (fewer, _fewer) = (_fewer, null);
            }
            fewer?.TrySetResult();
        }

        public Task Below(int most)
        {
            lock (_gate)
            {
                if (_count < most) return Task.CompletedTask;
                _below = most;
                _fewer = Completion.New();
                return _fewer.Task;
            }
        }
    }
}
