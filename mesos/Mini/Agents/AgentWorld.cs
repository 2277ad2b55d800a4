using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Microsoft.Extensions.Logging;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>What the tasks of one agent share.</summary>
internal sealed class AgentWorld : IDisposable
{
    private readonly Lock gate = new();
    private readonly Random random;
    private readonly List<Task> lifetimes = [];

    public AgentWorld(AgentOptions options, TimeProvider time, Random random, ILogger log, Action<ToMaster> send)
    {
        Options = options;
        Time = time;
        this.random = random;
        Log = log;
        Send = send;
        Directory = new WorkDirectory(options.WorkDirectory);
        Volumes = new PersistentVolumes(Directory);
        Outbox = new UpdateOutbox(time, send);
        Runner = new ProcessRunner(time, options.UseCgroups);
    }

    public AgentOptions Options { get; }
    public TimeProvider Time { get; }
    public ILogger Log { get; }
    public Action<ToMaster> Send { get; }
    public WorkDirectory Directory { get; }
    /// <summary>Reserved resources and persistent volumes of this agent.</summary>
    public PersistentVolumes Volumes { get; }

    public UpdateOutbox Outbox { get; }
    public ProcessRunner Runner { get; }
    public string Ip => Options.Ip;

    /// <summary>Set at the first registration.</summary>
    public AgentID? Id { get; set; }

    public string NewContainerId() => new Guid(RandomBytes()).ToString();

    public ByteString NewUuid() => ByteString.CopyFrom(RandomBytes());

    /// <summary>Seconds since 1970, as Mesos' time stamps are.</summary>
    public double Now => (Time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;

    /// <summary>Checks of tasks that have begun and have no result yet.</summary>
    public int ChecksRunning => checks;

    private int checks;

    /// <summary>Counts a check while it runs.</summary>
    public async Task<T> Checking<T>(Task<T> check)
    {
        Interlocked.Increment(ref checks);
        try
        {
            return await check;
        }
        finally
        {
            Interlocked.Decrement(ref checks);
        }
    }

    /// <summary>Takes the task of an ongoing work into ownership: <see cref="Settled"/> waits for it.</summary>
    public void Own(Task lifetime)
    {
        lock (gate)
        {
            lifetimes.RemoveAll(static ended => ended.IsCompleted);
            lifetimes.Add(lifetime);
        }
    }

    /// <summary>Completes when all owned work has ended.</summary>
    public async Task Settled()
    {
        while (true)
        {
            Task[] now;
            lock (gate)
                now = [.. lifetimes.Where(static lifetime => !lifetime.IsCompleted)];
            if (now.Length == 0)
                return;
            await Task.WhenAll(now);
        }
    }

    public void Dispose()
    {
        Outbox.Dispose();
        Runner.Dispose();
    }

    private byte[] RandomBytes()
    {
        var bytes = new byte[16];
        lock (gate)
            random.NextBytes(bytes);
        return bytes;
    }
}
