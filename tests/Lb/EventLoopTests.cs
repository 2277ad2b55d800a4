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

    /// <summary>Of one turn's news those of transfers come last, in their order, a few at once; the ones between do not lose theirs.</summary>
    [Fact]
    public async Task TransfersGoLastAndNoneIsForgotten()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "epoll is Linux'");
        using var loop = new EventLoop(Number + 2, static e => Assert.Fail(e.ToString()));
        var told = new List<Bell>();
        var transfers = Enumerable.Range(0, 10).Select(_ => new Bell(told, isTransfer: true)).ToList();
        var heads = Enumerable.Range(0, 3).Select(_ => new Bell(told, isTransfer: false)).ToList();
        await Run(loop, () =>
        {
            foreach (var bell in transfers.Concat(heads))
            {
                Assert.True(loop.Add(bell, Libc.In | Libc.Edge));
                Libc.Ring(bell.Fd);
            }
            // Rings after the first few transfers: it is heard before the others of them.
            transfers[0].Then = () => Libc.Ring(heads[0].Fd);
            loop.Again(transfers[9]); // before its news
        });
        for (var count = 0; count < 15; await Run(loop, () => count = told.Count)) await Task.Delay(5, Stop);
        await Run(loop, () =>
        {
            // Called again as it has asked, before anything was known of the others.
            Assert.Equal([transfers[9], .. heads, .. transfers[..4], heads[0], .. transfers[4..]], told);
            foreach (var bell in transfers.Concat(heads)) bell.Break();
        });
    }

    /// <summary>Who has left the loop is not told what was kept.</summary>
    [Fact]
    public async Task KeptNewsOfOneThatHasLeftAreDropped()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "epoll is Linux'");
        using var loop = new EventLoop(Number + 3, static e => Assert.Fail(e.ToString()));
        var told = new List<Bell>();
        Bell[] bells = [new(told, isTransfer: true), new(told, isTransfer: true), new(told, isTransfer: true)];
        await Run(loop, () =>
        {
            foreach (var bell in bells)
            {
                Assert.True(loop.Add(bell, Libc.In | Libc.Edge));
                Libc.Ring(bell.Fd);
            }
            bells[0].Then = () => loop.Remove(bells[1]);
        });
        for (var count = 0; count < 2; await Run(loop, () => count = told.Count)) await Task.Delay(5, Stop);
        await Run(loop, () =>
        {
            Assert.Equal([bells[0], bells[2]], told);
            foreach (var bell in bells) bell.Break();
        });
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

    /// <summary>Notes when it is told something.</summary>
    private sealed class Bell : Handler
    {
        private readonly List<Bell> _told;

        public Bell(List<Bell> told, bool isTransfer) => (_told, GoesLast, Fd) = (told, isTransfer, Libc.NewBell());

        public override bool GoesLast { get; }

        public Action Then { private get; set; } = static () => { };

        public override void News(uint events)
        {
            if (events != 0) Libc.Silence(Fd);
            _told.Add(this);
            Then();
            Then = static () => { };
        }

        public override void Late() => Assert.Fail("it has no deadline");

        public override void Break() => Libc.Close(Fd);
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
