using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Http;

/// <summary>
/// Seats for requests of one kind. A user who is alone may have all; as soon as others ask too, each has at most
/// <paramref name="share"/>, and who waits is served in turn: one request of each user, then the next of each, in the order in which
/// they came. So a flood fills its own queue and nobody else's. Beside others a user also pays for the time in seats until the answer begins: at most
/// <paramref name="pace"/> of them may be taken on average, so that a flood of small requests leaves the machine room to answer others at once. Each is paid
/// for when it begins, as the user's last ones were, and the rest when it ends: else all that wait would begin together as soon as one may.
/// </summary>
/// <param name="seats">Requests at the same time.</param>
/// <param name="share">Of one user while there are others.</param>
/// <param name="pace">Likewise, on average.</param>
internal sealed class FairQueue(string what, int seats, int share, double pace, int queuedPerUserMax, int queuedMax, TimeProvider time) : IDisposable
{
    /// <summary>For so long after their last request users count as there.</summary>
    private static readonly TimeSpan Lingers = TimeSpan.FromSeconds(1);

    /// <summary>What a user has not used in so long may be used at once.</summary>
    private static readonly TimeSpan Saved = TimeSpan.FromMilliseconds(50);

    /// <summary>So much is added for what a request costs outside its seat, such as TLS and HTTP: a guess, as nothing measures it.</summary>
    private static readonly TimeSpan Besides = TimeSpan.FromMilliseconds(0.2);

    /// <summary>No user owes more than this for requests that have ended: a seat may have waited for a disk or for etcd, which took nothing from others.</summary>
    private static readonly TimeSpan DebtMax = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan TimerMin = TimeSpan.FromMilliseconds(1);

    /// <summary>What the next request costs is expected from about so many before it.</summary>
    private const int ExpectedOf = 8;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Flow> _flows = new(StringComparer.Ordinal);
    private readonly Queue<Flow> _turns = new(); // users with waiting requests, the next first
    private ITimer? _timer; // for those who wait for nothing but time
    private long _looked = time.GetTimestamp();
    private long _looksAt = long.MaxValue;
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
            var now = time.GetTimestamp();
            if (!_flows.TryGetValue(user, out var flow)) _flows[user] = flow = new Flow();
            if (_running < seats && MayRun(flow, now) && flow.Waiting.Count == 0) return ValueTask.FromResult(Take(flow));
            if (flow.Waiting.Count >= queuedPerUserMax || _queued >= queuedMax)
            {
                throw Status.TooManyRequests($"too many requests in flight ({what}: {flow.Running} of this user are being answered and {flow.Waiting.Count} wait), please try again later", retryAfterSeconds: 1);
            }
            waiter = new(flow);
            waiter.Place = flow.Waiting.AddLast(waiter);
            _queued++;
            Queue(flow);
            if (_running < seats && flow.Running < Most) LookAgain(flow, now);
        }
        return Wait(waiter, gone);
    }

    public void Dispose()
    {
        lock (_gate) _timer?.Dispose();
    }

    private bool MayRun(Flow flow, long now) => flow.Running < Most && (_flows.Count == 1 || flow.NextAt <= now);

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
        var now = time.GetTimestamp();
        flow.PaidUntil = Math.Max(flow.PaidUntil, now - Ticks(Saved) - flow.Prepaid);
        flow.Prepaid += flow.Expected;
        flow.Running++;
        _running++;
        return new(this, flow, now, flow.Expected);
    }

    private void Leave(Flow flow, long since, long answered, long paid)
    {
        List<(Waiter Waiter, Seat Seat)> granted;
        lock (_gate)
        {
            flow.Running--;
            _running--;
            flow.LastAt = time.GetTimestamp();
            // Who sends one after the other pays for the rest of a request by waiting for its answer.
            var besides = flow.Running > 0 || flow.Waiting.Count > 0 ? Ticks(Besides) : 0;
            var counted = (answered > 0 ? answered : flow.LastAt) - since;
            var cost = (long)((counted + besides) / pace);
            flow.Prepaid -= paid;
            // What is prepaid stands apart: cut away here it would be given back all the same.
            flow.PaidUntil = Math.Min(flow.PaidUntil + cost, flow.LastAt + Ticks(DebtMax));
            cost = Math.Min(cost, Ticks(DebtMax));
            flow.Expected = flow.Expected == 0 ? cost : flow.Expected + (cost - flow.Expected) / ExpectedOf;
            granted = Grant();
        }
        foreach (var (waiter, seat) in granted) waiter.Grant(seat);
    }

    private List<(Waiter Waiter, Seat Seat)> Grant()
    {
        var granted = new List<(Waiter Waiter, Seat Seat)>();
        var now = time.GetTimestamp();
        // Each user once a round; a round that seats nobody is the last.
        for (var unlucky = 0; _running < seats && _turns.Count > unlucky;)
        {
            var next = _turns.Dequeue();
            next.IsInTurns = false;
            if (next.Waiting.First is not { } place) continue;
            if (!MayRun(next, now))
            {
                unlucky++;
                Queue(next);
                if (next.Running < Most) LookAgain(next, now);
                continue;
            }
            unlucky = 0;
            next.Waiting.Remove(place);
            _queued--;
            if (next.Waiting.Count > 0) Queue(next);
            granted.Add((place.Value, Take(next)));
        }
        return granted;
    }

    // Under the lock, with the time by which the flow was judged: by a later one it may be due already, and nobody would look.
    private void LookAgain(Flow flow, long now)
    {
        if (flow.NextAt <= now || flow.NextAt >= _looksAt) return;
        _looksAt = flow.NextAt;
        var due = TimeSpan.FromSeconds((double)(_looksAt - now) / time.TimestampFrequency);
        _timer ??= time.CreateTimer(static state => ((FairQueue)state!).Look(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _timer.Change(due > TimerMin ? due : TimerMin, Timeout.InfiniteTimeSpan);
    }

    private void Look()
    {
        List<(Waiter Waiter, Seat Seat)> granted;
        lock (_gate)
        {
            _looksAt = long.MaxValue;
            granted = Grant();
        }
        foreach (var (waiter, seat) in granted) waiter.Grant(seat);
    }

    private long Now => time.GetTimestamp();

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * time.TimestampFrequency);

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
    internal sealed class Seat(FairQueue queue, Flow flow, long since, long paid) : IDisposable
    {
        private long _since = since;
        private int _left;
        private long _answered;

        /// <summary>Its thread has come to it: how long that took is not counted.</summary>
        public void Begins() => _since = queue.Now;

        /// <summary>The answer begins: how long its reader takes from here on is not counted.</summary>
        public void Answered() => _answered = queue.Now;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) == 0) queue.Leave(flow, _since, _answered, paid);
        }
    }

    /// <summary>One user's requests.</summary>
    internal sealed class Flow
    {
        public int Running { get; set; }
        public long LastAt { get; set; }

        /// <summary>By what its ended requests have cost.</summary>
        public long PaidUntil { get; set; }

        /// <summary>What those that run are expected to cost.</summary>
        public long Prepaid { get; set; }

        /// <summary>Beside others nothing of it begins before this.</summary>
        public long NextAt => PaidUntil + Prepaid;

        /// <summary>What a request of it costs, by those that have ended.</summary>
        public long Expected { get; set; }
        public bool IsInTurns { get; set; }
        public LinkedList<Waiter> Waiting { get; } = [];
    }

    /// <summary>In the thread of a round it goes on in that thread, behind the requests that need not wait.</summary>
    internal sealed class Waiter(Flow flow)
    {
        private readonly Round? _round = Round.Current;
        private Seat? _seat;

        public Flow Flow => flow;
        public LinkedListNode<Waiter> Place { get; set; } = null!;
        public TaskCompletionSource<Seat> Granted { get; } = Round.Current is null ? Completion.New<Seat>() : new();

        public void Grant(Seat seat)
        {
            _seat = seat;
            if (_round is null) GoOn(this);
            else _round.PostLast(GoOn, this);
        }

        private static readonly Action<object> GoOn = static granted =>
        {
            var waiter = (Waiter)granted;
            waiter._seat!.Begins();
            waiter.Granted.TrySetResult(waiter._seat);
        };
    }
}
