using System.Globalization;
using Declarative.Lb.Proxy.Plain;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>The loop itself: who has nothing to do sleeps, and who is due is called.</summary>
public sealed class EventLoopTests
{
    /// <summary>Tells its thread from those of other tests.</summary>
    private const int Number = 77_001;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    /// <summary>Connections that wait and deadlines that are far away cost nothing: the kernel counts how often the thread has gone to sleep.</summary>
    [Fact]
    public async Task AnIdleLoopIsNotWoken()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "epoll is Linux'");
        using var loop = new EventLoop(Number, static e => Assert.Fail(e.ToString()));
        var waiting = new List<Quiet>();
        for (var i = 0; i < 100; i++) waiting.Add(new(Environment.TickCount64 + 3_600_000));
        await Run(loop, () => waiting.ForEach(x => loop.Add(x)));
        var before = await Sleeps();
        await Task.Delay(500, Stop); // five times as long as the shortest time between two looks at the deadlines
        Assert.Equal(before, await Sleeps());
        await Run(loop, static () => { });
        Assert.NotEqual(before, await Sleeps()); // the count is the right thread's

        await Run(loop, () => waiting.ForEach(x => x.Break()));
    }

    /// <summary>A deadline that is moved closer than the one the loop sleeps for is kept.</summary>
    [Fact]
    public async Task ADeadlineIsKeptHoweverLateItWasSet()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "epoll is Linux'");
        using var loop = new EventLoop(Number + 1, static e => Assert.Fail(e.ToString()));
        var one = new Quiet(Environment.TickCount64 + 3_600_000);
        await Run(loop, () => loop.Add(one));
        await Run(loop, () => one.Deadline = loop.Now);
        await one.WasLate.WaitAsync(TimeSpan.FromSeconds(30), Stop);
    }

    private static async Task Run(EventLoop loop, Action action)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        loop.Post(() =>
        {
            action();
            done.SetResult();
        });
        await done.Task.WaitAsync(Stop);
    }

    /// <summary>voluntary_ctxt_switches of the loop's thread, once it sleeps (proc_pid_status(5)).</summary>
    private static async Task<long> Sleeps()
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"lb loop {Number}\n");
        var thread = Directory.EnumerateDirectories("/proc/self/task").Single(x => Read(Path.Combine(x, "comm")) == name);
        while (true)
        {
            var status = (await File.ReadAllLinesAsync(Path.Combine(thread, "status"), Stop)).Select(x => x.Split('\t')).ToDictionary(x => x[0], x => x[^1]);
            if (status["State:"].StartsWith('S')) return long.Parse(status["voluntary_ctxt_switches:"], CultureInfo.InvariantCulture);
            await Task.Delay(5, Stop);
        }
    }

    /// <summary>"" of a thread that has just ended.</summary>
    private static string Read(string file)
    {
        try
        {
            return File.ReadAllText(file);
        }
        catch (IOException)
        {
            return "";
        }
    }

    /// <summary>A descriptor of which there is never any news.</summary>
    private sealed class Quiet : Handler
    {
        private readonly TaskCompletionSource _late = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Quiet(long deadline)
        {
            Fd = Libc.NewPoll();
            Deadline = deadline;
        }

        public Task WasLate => _late.Task;

        public override void News(uint events) => Assert.Fail($"news: {events}");

        public override void Late()
        {
            _late.TrySetResult();
            Break();
        }

        public override void Break()
        {
            Libc.Close(Fd);
            Deadline = long.MaxValue;
        }
    }
}
