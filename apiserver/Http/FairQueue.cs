using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>
/// Seats for requests of one kind. A user who is alone may have all; as soon as others ask too, each has at most
/// <paramref name="share"/>, and who waits is served in turn: one request of each user, then the next of each, in the order in which
/// they came. So a flood fills its own queue and nobody else's.
/// </summary>
/// <param name="seats">Requests at the same time.</param>
/// <param name="share">Of one user while there are others.</param>
internal sealed class FairQueue(string what, int seats, int share, int queuedPerUserMax, int queuedMax, TimeProvider time)
{
    /// <summary>For so long after their last request users count as there.</summary>
    private static readonly TimeSpan Lingers = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Flow> _flows = new(StringComparer.Ordinal);
    private readonly Queue<Flow> _turns = new(); // users with waiting requests, the next first
    private long _looked = time.GetTimestamp();
    private int _running;
    private int _queued;

    public int Running => Volatile.Read(ref _running);

    public int Queued => Volatile.Read(ref _queued);

    /// <summary>Completes when it is this request's turn; the seat is given back by disposing it. Throws 429 where too many wait already.</summary>
    public ValueTask<Seat> Enter(string user, CancellationToken gone)
    {
        Waiter waiter;
        lock (_gate)
        {
            Forget();
            if (!_flows.TryGetValue(user, out var flow)) _flows[user] = flow = new Flow();
            if (_running < seats && flow.Running < Most && flow.Waiting.Count == 0) return ValueTask.FromResult(Take(flow));
            if (flow.Waiting.Count >= queuedPerUserMax || _queued >= queuedMax)
            {
                throw Status.TooManyRequests($"too many requests in flight ({what}: {flow.Running} of this user are being answered and {flow.Waiting.Count} wait), please try again later", retryAfterSeconds: 1);
            }
            waiter = new(flow);
            waiter.Place = flow.Waiting.AddLast(waiter);
            _queued++;
            Queue(flow);
        }
        return Wait(waiter, gone);
    }

    // While others are there a user has a share, which is all that keeps a flood's requests from running beside everybody's.
    private int Most => _flows.Count > 1 ? share : seats;

    private async ValueTask<Seat> Wait(Waiter waiter, CancellationToken gone)
    {
        await using var registration = gone.UnsafeRegister(static (state, token) =>
        {
            var (queue, waiter) = ((FairQueue, Waiter))state!;
            queue.Withdraw(waiter, token);
        }, (this, waiter));
        return await waiter.Granted.Task;
    }

    private void Withdraw(Waiter waiter, CancellationToken gone)
    {
        lock (_gate)
        {
            if (waiter.Place.List is null) return;
            waiter.Flow.Waiting.Remove(waiter.Place);
            _queued--;
        }
        waiter.Granted.TrySetCanceled(gone);
    }

    private Seat Take(Flow flow)
    {
        flow.Running++;
        _running++;
        return new(this, flow);
    }

    private void Leave(Flow flow)
    {
        var granted = new List<(Waiter Waiter, Seat Seat)>();
        lock (_gate)
        {
            flow.Running--;
            _running--;
            flow.LastAt = time.GetTimestamp();
            // Each user once a round; a round that seats nobody is the last.
            for (var unlucky = 0; _running < seats && _turns.Count > unlucky;)
            {
                var next = _turns.Dequeue();
                next.IsInTurns = false;
                if (next.Waiting.First is not { } place) continue;
                if (next.Running >= Most)
                {
                    unlucky++;
                    Queue(next);
                    continue;
                }
                unlucky = 0;
                next.Waiting.Remove(place);
                _queued--;
                if (next.Waiting.Count > 0) Queue(next);
                granted.Add((place.Value, Take(next)));
            }
        }
        foreach (var (waiter, seat) in granted) waiter.Granted.TrySetResult(seat);
    }

    // Once, also where waiters of it have given up meanwhile.
    private void Queue(Flow flow)
    {
        if (flow.IsInTurns) return;
        flow.IsInTurns = true;
        _turns.Enqueue(flow);
    }

    private void Forget()
    {
        if (_flows.Count <= 1 || time.GetElapsedTime(_looked) < Lingers) return;
        _looked = time.GetTimestamp();
        foreach (var (user, flow) in _flows)
        {
            if (flow is { Running: 0, Waiting.Count: 0 } && time.GetElapsedTime(flow.LastAt) >= Lingers) _flows.Remove(user);
        }
    }

    /// <summary>The right to be answered; given back once, whoever disposes it first.</summary>
    internal sealed class Seat(FairQueue queue, Flow flow) : IDisposable
    {
        private int _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0) queue.Leave(flow);
        }
    }

    /// <summary>One user's requests.</summary>
    internal sealed class Flow
    {
        public int Running { get; set; }
        public long LastAt { get; set; }
        public bool IsInTurns { get; set; }
        public LinkedList<Waiter> Waiting { get; } = [];
    }

    internal sealed class Waiter(Flow flow)
    {
        public Flow Flow => flow;
        public LinkedListNode<Waiter> Place { get; set; } = null!;
        public TaskCompletionSource<Seat> Granted { get; } = Completion.New<Seat>();
    }
}
