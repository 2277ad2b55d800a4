using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Link;

/// <summary>
/// An agent's status updates on their way to the master: strictly in order per task, one in flight, sent again after 10 s (then 20 s …
/// up to 10 min) until acknowledged, as Mesos' agents do.
/// </summary>
/// <remarks>Thread-safe. <c>send</c> is called outside the lock, possibly from a timer.</remarks>
public sealed class UpdateOutbox : IDisposable
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LastRetry = TimeSpan.FromMinutes(10);

    private readonly TimeProvider time;
    private readonly Action<ToMaster> send;
    private readonly Lock gate = new();
    private readonly Dictionary<(string Framework, string Task), UpdateStream> streams = [];
    private readonly PriorityQueue<(UpdateStream Stream, long Attempt), DateTimeOffset> retries = new();
    private ITimer? timer;
    private DateTimeOffset armed = DateTimeOffset.MaxValue;

    public UpdateOutbox(TimeProvider time, Action<ToMaster> send)
    {
        this.time = time;
        this.send = send;
    }

    /// <summary>Adds an update; it is sent at once when the task's earlier ones are acknowledged.</summary>
    /// <param name="framework">The task's framework.</param>
    /// <param name="status">With <c>uuid</c>, <c>timestamp</c> and <c>agent_id</c>; not changed afterwards.</param>
    public void Add(FrameworkID framework, TaskStatus status)
    {
        ToMaster? message = null;
        lock (gate)
        {
            var key = (framework.Value, status.TaskId.Value);
            if (!streams.TryGetValue(key, out var stream))
                streams[key] = stream = new UpdateStream(framework);
            stream.Latest = status.State;
            stream.Pending.Enqueue(status);
            if (stream.Pending.Count == 1)
                message = InFlight(stream, FirstRetry);
        }

        if (message is not null)
            send(message);
    }

    /// <summary>
    /// Takes the update in flight out of its task's stream and sends the next one. Null when that uuid is not in flight (a late
    /// duplicate). After a terminal update the stream is forgotten.
    /// </summary>
    public TaskStatus? Acknowledge(FrameworkID framework, TaskID task, ByteString uuid)
    {
        TaskStatus acknowledged;
        ToMaster? message = null;
        lock (gate)
        {
            var key = (framework.Value, task.Value);
            if (!streams.TryGetValue(key, out var stream) || !stream.Pending.TryPeek(out var head) || !head.Uuid.Equals(uuid))
                return null;
            acknowledged = stream.Pending.Dequeue();
            stream.Attempt++;
            if (stream.Pending.Count > 0)
                message = InFlight(stream, FirstRetry);
            else if (acknowledged.State.IsTerminal())
                streams.Remove(key);
        }

        if (message is not null)
            send(message);
        return acknowledged;
    }

    /// <summary>Sends what is in flight again at once: after a registration with a master that may not have it.</summary>
    public void Resend()
    {
        List<ToMaster> messages = [];
        lock (gate)
        {
            foreach (var stream in streams.Values)
            {
                if (stream.Pending.Count > 0)
                    messages.Add(InFlight(stream, FirstRetry));
            }
        }

        foreach (var message in messages)
            send(message);
    }

    /// <summary>The framework wants no more updates.</summary>
    public void Forget(FrameworkID framework)
    {
        lock (gate)
        {
            foreach (var key in streams.Keys.Where(key => key.Framework == framework.Value).ToList())
            {
                streams[key].Pending.Clear();
                streams[key].Attempt++;
                streams.Remove(key);
            }
        }
    }

    /// <summary>The updates of a task that are not acknowledged yet, oldest first: what an agent keeps on disk.</summary>
    public IReadOnlyList<TaskStatus> Unacknowledged(FrameworkID framework, TaskID task)
    {
        lock (gate)
            return streams.TryGetValue((framework.Value, task.Value), out var stream) ? [.. stream.Pending] : [];
    }

    public void Dispose()
    {
        lock (gate)
        {
            streams.Clear();
            retries.Clear();
            timer?.Dispose();
        }
    }

    private ToMaster InFlight(UpdateStream stream, TimeSpan retry)
    {
        stream.Attempt++;
        stream.Retry = retry;
        var due = time.GetUtcNow() + retry;
        retries.Enqueue((stream, stream.Attempt), due);
        Arm(due);
        return new ToMaster
        {
            UpdateStatus = new()
            {
                FrameworkId = stream.Framework,
                Status = stream.Pending.Peek(),
                LatestState = stream.Latest,
            },
        };
    }

    private void Arm(DateTimeOffset due)
    {
        if (due >= armed)
            return;
        armed = due;
        var wait = due - time.GetUtcNow();
        if (wait < TimeSpan.Zero)
            wait = TimeSpan.Zero;
        if (timer is null)
            timer = time.CreateTimer(static outbox => ((UpdateOutbox)outbox!).Retry(), this, wait, Timeout.InfiniteTimeSpan);
        else
            timer.Change(wait, Timeout.InfiniteTimeSpan);
    }

    private void Retry()
    {
        List<ToMaster> messages = [];
        lock (gate)
        {
            armed = DateTimeOffset.MaxValue;
            var now = time.GetUtcNow();
            while (retries.TryPeek(out var entry, out var due))
            {
                var current = entry.Attempt == entry.Stream.Attempt && entry.Stream.Pending.Count > 0;
                if (current && due > now)
                    break;
                retries.Dequeue();
                if (!current)
                    continue;
                var longer = entry.Stream.Retry * 2;
                messages.Add(InFlight(entry.Stream, longer < LastRetry ? longer : LastRetry));
            }

            if (retries.TryPeek(out _, out var next))
                Arm(next);
        }

        foreach (var message in messages)
            send(message);
    }

    private sealed class UpdateStream(FrameworkID framework)
    {
        public FrameworkID Framework { get; } = framework;
        public Queue<TaskStatus> Pending { get; } = new();
        public TaskState Latest { get; set; }

        /// <summary>Counts sends and acknowledgements: an entry of the retry queue with another number is out of date.</summary>
        public long Attempt { get; set; }

        public TimeSpan Retry { get; set; }
    }
}
