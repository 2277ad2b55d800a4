using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Declarative.Mesos.Mini.Runners;
using Xunit;

namespace Declarative.Tests.Mesos.Agent;

public sealed class RunnerTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(20);

    private readonly string folder = Directory.CreateTempSubdirectory("runner-").FullName;
    private readonly ProcessRunner runner = new(TimeProvider.System);
    private readonly List<RunningProcess> started = [];
    private int number;

    public void Dispose()
    {
        foreach (var process in started.Where(process => !process.Ended.IsCompleted))
            process.Kill().Wait(Deadline);
        runner.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData("exit 0", "Command exited with status 0", 0)]
    [InlineData("exit 1", "Command exited with status 1", 256)]
    [InlineData("exit 7", "Command exited with status 7", 1792)]
    [InlineData("exit 137", "Command exited with status 137", 137 << 8)]
    [InlineData("exit 143", "Command exited with status 143", 143 << 8)]
    [InlineData("exit 255", "Command exited with status 255", 255 << 8)]
    [InlineData("kill -9 $$", "Command terminated with signal Killed", 9)]
    [InlineData("kill -TERM $$", "Command terminated with signal Terminated", 15)]
    [InlineData("kill -SEGV $$", "Command terminated with signal Segmentation fault", 11)]
    [InlineData("kill -INT $$", "Command terminated with signal Interrupt", 2)]
    [InlineData("kill -PIPE $$", "Command terminated with signal Broken pipe", 13)]
    [InlineData("kill -USR1 $$", "Command terminated with signal User defined signal 1", 10)]
    public async Task Exit_codes_and_signals_are_told_apart(string script, string text, int waitStatus)
    {
        var exit = await Start(script).Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken);
        Assert.Equal(text, exit.ToString());
        Assert.Equal(waitStatus, exit.WaitStatus);
    }

    [Fact]
    public async Task Environment_arguments_directory_and_files_are_exactly_those_given()
    {
        var process = Start(
            "/bin/sh",
            ["sh", "-c", "cat /proc/self/environ | tr '\\0' '\\n'; echo args: \"$@\" >&2; pwd >&2; ls /proc/self/fd >&2", "x", "a b", "$HOME", "*"],
            ["A=1", "PATH=/usr/bin:/bin", "TEXT=two words"]
        );
        Assert.True((await process.Ended).Succeeded);
        var variables = File.ReadAllLines(Out()).Order(StringComparer.Ordinal).Where(line => !line.StartsWith("PWD=", StringComparison.Ordinal));
        Assert.Equal(["A=1", "PATH=/usr/bin:/bin", "TEXT=two words"], variables);
        var errors = File.ReadAllLines(Err());
        Assert.Equal("args: a b $HOME *", errors[0]);
        Assert.Equal(folder, errors[1]);
        Assert.Equal("0 1 2 3", string.Join(" ", errors[2..])); // 3 is ls reading the directory
    }

    [Fact]
    public async Task Variables_that_are_no_identifiers_and_a_chosen_name_reach_the_process()
    {
        Assert.SkipUnless(File.Exists("/bin/bash"), "needs bash");
        var process = Start("/bin/cat", ["other-name", "/proc/self/environ", "/proc/self/cmdline"], ["spring.profile=x", "a-b=c"]);
        Assert.True((await process.Ended).Succeeded);
        var text = File.ReadAllText(Out());
        Assert.Contains("spring.profile=x\0", text, StringComparison.Ordinal);
        Assert.Contains("a-b=c\0", text, StringComparison.Ordinal);
        Assert.Contains("other-name\0/proc/self/environ", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_value_of_the_environment_is_in_any_command_line()
    {
        var process = Start("/bin/sleep", ["sleep", "1000"], ["SECRET=swordfish-" + number]);
        await Until(() => process.Pid is not null);
        foreach (var pid in (int[])[process.KeeperPid, process.Pid!.Value])
            Assert.DoesNotContain("swordfish", File.ReadAllText($"/proc/{pid}/cmdline"), StringComparison.Ordinal);
        await process.Kill();
    }

    [Fact]
    public async Task Terminate_reaches_the_whole_group_and_the_exit_is_seen()
    {
        var process = Start("trap 'echo got TERM; exit 3' TERM; sleep 1000 & echo up; while true; do sleep 0.05; done");
        await Until(() => File.ReadAllText(Out()).Contains("up", StringComparison.Ordinal));
        process.Terminate();
        Assert.Equal(3, (await process.Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken)).Code);
        Assert.Contains("got TERM", File.ReadAllText(Out()), StringComparison.Ordinal);
        Assert.Empty(Descendants(process.KeeperPid));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Kill_ends_a_process_that_ignores_TERM_and_everything_it_forked(bool cgroups)
    {
        using var own = new ProcessRunner(TimeProvider.System, cgroups);
        var process = Start("trap '' TERM; sleep 1000 & echo $! > child; echo up; while true; do sleep 0.05; done", own);
        await Until(() => File.Exists(Out()) && File.ReadAllText(Out()).Contains("up", StringComparison.Ordinal));
        var child = int.Parse(File.ReadAllText(Path.Combine(folder, "child")), CultureInfo.InvariantCulture);
        process.Terminate();
        Assert.False(process.Ended.IsCompleted);
        await process.Kill();
        Assert.Equal("Command terminated with signal Killed", (await process.Ended).ToString());
        Assert.Null(ProcessStat.Read(child) is { State: not 'Z' } stat ? stat : null);
    }

    [Fact]
    public async Task Kill_finds_what_has_left_the_session()
    {
        Assert.SkipWhen(CgroupTree.Find().Unified is null, "needs a writable cgroup v2");
        var process = Start("setsid sh -c 'setsid sleep 1000 & echo $! > escapee' ; echo up; sleep 1000");
        await Until(() => File.Exists(Out()) && File.ReadAllText(Out()).Contains("up", StringComparison.Ordinal));
        var escapee = int.Parse(File.ReadAllText(Path.Combine(folder, "escapee")), CultureInfo.InvariantCulture);
        Assert.NotNull(ProcessStat.Read(escapee));
        await process.Kill();
        Assert.True(ProcessStat.Read(escapee) is null or { State: 'Z' });
    }

    [Fact]
    public async Task A_process_goes_on_when_its_runner_is_gone_and_a_later_runner_finds_it()
    {
        var first = new ProcessRunner(TimeProvider.System);
        var record = Record();
        var process = Start("echo one; while [ ! -e go ]; do sleep 0.05; done; echo two; exit 5", first, record);
        await Until(() => process.Pid is not null);
        var pid = process.Pid;
        first.Dispose();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => process.Ended);

        var adopted = runner.Adopt(Path.GetFileName(record), record);
        Assert.NotNull(adopted);
        started.Add(adopted);
        Assert.Equal(process.KeeperPid, adopted.KeeperPid);
        Assert.Equal(pid, adopted.Pid);
        Assert.False(adopted.Ended.IsCompleted);
        File.WriteAllText(Path.Combine(folder, "go"), "");
        Assert.Equal(5, (await adopted.Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken)).Code);
        Assert.Equal("one\ntwo\n", File.ReadAllText(Out()));
    }

    [Fact]
    public async Task An_exit_while_nobody_looked_is_learned_later()
    {
        var first = new ProcessRunner(TimeProvider.System);
        var record = Record();
        var process = Start("while [ ! -e go ]; do sleep 0.02; done; kill -9 $$", first, record);
        first.Dispose();
        File.WriteAllText(Path.Combine(folder, "go"), "");
        await Until(() => Keeper.ReadExit(record) is not null);
        // Still a zombie of this process (a dead agent's would be gone), which counts as ended.
        var adopted = runner.Adopt(Path.GetFileName(record), record);
        Assert.Equal(9, (await adopted!.Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken)).Signal);
        Posix.WaitPid(process.KeeperPid, out _, 0);
    }

    [Fact]
    public async Task A_process_is_found_though_the_agent_died_before_it_noted_the_start()
    {
        var first = new ProcessRunner(TimeProvider.System);
        var record = Record();
        var process = Start("sleep 1000", first, record);
        first.Dispose();
        File.Delete(Path.Combine(record, Keeper.IdentityFile));
        var adopted = runner.Adopt(Path.GetFileName(record), record);
        Assert.Equal(process.KeeperPid, adopted!.KeeperPid);
        await adopted.Kill();
        Assert.Null(runner.Adopt("never", Path.Combine(folder, "never")));
    }

    [Fact]
    public async Task A_killed_keeper_takes_its_process_along_and_the_exit_is_unseen()
    {
        var process = Start("sleep 1000");
        await Until(() => process.Pid is not null);
        var pid = process.Pid!.Value;
        Posix.Kill(process.KeeperPid, Posix.SigKill);
        Assert.Equal(ProcessExit.Unseen, await process.Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken));
        Assert.True(ProcessStat.Read(pid) is null or { State: 'Z' });
    }

    [Fact]
    public void A_missing_directory_is_named()
    {
        var (process, error) = runner.Start(Launch("/bin/true", ["true"], [], Record()) with { WorkingDirectory = "/no/such/place" });
        Assert.Null(process);
        Assert.Equal("working directory not found: /no/such/place", error);
    }

    [Fact]
    public void Commands_are_looked_up_and_a_missing_one_is_named_with_the_folders()
    {
        Assert.Equal("/bin/sh", CommandLookup.Find("sh", "/nope:/bin", folder).File);
        Assert.Equal("command not found: nosuch: looked in /nope, /bin", CommandLookup.Find("nosuch", "/nope:/bin", folder).Error);
        Assert.Equal("command not found: /no/such/binary", CommandLookup.Find("/no/such/binary", null, folder).Error);
        Assert.Equal("command is a directory: /bin", CommandLookup.Find("/bin", null, folder).Error);
        File.WriteAllText(Path.Combine(folder, "plain"), "");
        Assert.Equal("command is not executable: ./plain", CommandLookup.Find("./plain", null, folder).Error);
    }

    [Fact]
    public void A_port_somebody_listens_on_is_not_free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        Assert.False(PortProbe.IsFree(port));
        listener.Stop();
        Assert.True(PortProbe.IsFree(port));
    }

    [Fact]
    public async Task Two_containers_of_one_name_in_different_places_do_not_touch_each_other()
    {
        using var other = new ProcessRunner(TimeProvider.System);
        var first = Start("sleep 1000", record: Path.Combine(folder, "a", "same-name"));
        var second = Start("sleep 1000", other, Path.Combine(folder, "b", "same-name"));
        await Until(() => first.Pid is not null && second.Pid is not null);
        await first.Kill();
        Assert.NotNull(second.Pid);
        await second.Kill();
    }

    [Fact]
    public async Task A_memory_limit_is_enforced_and_seen()
    {
        Assert.SkipWhen(CgroupTree.Find().Memory is null, "needs a writable memory cgroup");
        var record = Record();
        var (process, error) = runner.Start(
            Launch("/bin/sh", ["sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}"], ["PATH=/usr/bin:/bin"], record) with
            {
                Limits = new(MemoryBytesMax: 16 << 20),
            }
        );
        Assert.Null(error);
        started.Add(process!);
        var exit = await process!.Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken);
        Assert.False(exit.Succeeded);
        Assert.True(process.RanOutOfMemory);
    }

    [Fact]
    public async Task Two_hundred_starts_leave_no_descriptor_no_zombie_and_no_cgroup()
    {
        await Start("exit 0").Ended;
        var before = Descriptors();
        var clock = Stopwatch.StartNew();
        var processes = Enumerable.Range(0, 200).Select(_ => Start("exit 0")).ToList();
        foreach (var process in processes)
            Assert.True((await process.Ended.WaitAsync(Deadline, TestContext.Current.CancellationToken)).Succeeded);
        TestContext.Current.SendDiagnosticMessage("200 starts in {0} ms", clock.ElapsedMilliseconds);
        Assert.All(processes, process => Assert.Null(ProcessStat.Read(process.KeeperPid)));
        // Other tests of this process open files meanwhile: wait for a moment at which there are no more than before.
        await Until(() => Descriptors() <= before + 20);
        if (CgroupTree.Find().Unified is { } unified)
            Assert.DoesNotContain(Directory.EnumerateDirectories(unified), made => made.Contains(Path.GetFileName(folder), StringComparison.Ordinal));
    }

    private static int Descriptors() => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count();

    private static List<int> Descendants(int session) =>
        [.. ProcessStat.All().Where(stat => stat.Session == session && stat.State is not 'Z').Select(stat => stat.Pid)];

    private static async Task Until(Func<bool> condition)
    {
        for (var waited = TimeSpan.Zero; !condition(); waited += TimeSpan.FromMilliseconds(20))
        {
            Assert.True(waited < Deadline, "not reached in time");
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    private string Record() => Path.Combine(folder, $"{Path.GetFileName(folder)}-{++number}");

    private string Out() => Path.Combine(folder, "stdout");

    private string Err() => Path.Combine(folder, "stderr");

    private RunningProcess Start(string script, ProcessRunner? by = null, string? record = null) =>
        Start("/bin/sh", ["sh", "-c", script], ["PATH=/usr/bin:/bin"], by, record);

    private RunningProcess Start(string file, string[] arguments, string[] environment, ProcessRunner? by = null, string? record = null)
    {
        var (process, error) = (by ?? runner).Start(Launch(file, arguments, environment, record ?? Record()));
        Assert.Null(error);
        started.Add(process!);
        return process!;
    }

    private ProcessLaunch Launch(string file, string[] arguments, string[] environment, string record) =>
        new(Path.GetFileName(record), file, arguments, environment, folder, Out(), Err(), record, new());
}
