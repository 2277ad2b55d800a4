using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Mesos.AgentClient;
using Declarative.Mesos.Protocol.AgentApi;
using CommandInfo = Declarative.Mesos.Protocol.CommandInfo;
using ContainerID = Declarative.Mesos.Protocol.ContainerID;
using TTYInfo = Declarative.Mesos.Protocol.TTYInfo;

namespace Declarative.ApiServer.Streams;

/// <summary>One exec or attach: what the client types goes to the container, what the container says to the client, and the end of it is told.</summary>
internal sealed class RemoteSession(AgentClient agent, IRemoteIo io, RemoteRequest request, ContainerTask task, ContainerID container, TimeProvider time)
{
    private const int SwitchboardDisabled = 500;
    private static readonly byte[] ControlD = [4];
    private static readonly Status Success = new(200, "", "");
    private const int EarlyInputsMax = 16;
    private static readonly TimeSpan SizeWithin = TimeSpan.FromSeconds(2);

    /// <summary>Tries to hand over input of which nothing has been taken yet.</summary>
    private const int FeedAttemptsMax = 5;
    private static readonly TimeSpan FeedAgainIn = TimeSpan.FromMilliseconds(200);

    /// <summary>A process that has ended takes no input, and its output is over within this time; else the input is lost.</summary>
    private static readonly TimeSpan EndsWithin = TimeSpan.FromSeconds(5);
    private readonly AgentContainers _containers = new(agent);
    private readonly Queue<RemoteInput> _early = new();

    // What tells a container that its input has ended. One that wants a pipe and was given a terminal is typed to.
    private ReadOnlyMemory<byte> _end;
    private bool _isInputTaken; // some of it has been read from the client, and is with the agent or lost

    /// <summary>Runs the command beside the task; it ends with its connection.</summary>
    public async Task<Status> Exec(CancellationToken stop)
    {
        var session = new ContainerID { Value = Guid.NewGuid().ToString(), Parent = container };
        var command = new CommandInfo { Shell = false, Value = request.Command[0] };
        command.Arguments.Add(request.Command);
        var terminal = request.Tty ? await FirstSize(stop) : null;
        await using (var output = await _containers.Launch(session, command, request.Tty ? terminal ?? new() : null, stop))
        {
            await Join(session, output, feeds: true, stop);
        }
        return Result(await _containers.Wait(session, stop));
    }

    /// <summary>
    /// Clients tell the size of their terminal as soon as they are connected: a command that asks for it at once must see it. A client that is
    /// silent about it is not waited for longer than <see cref="SizeWithin"/>; what it types meanwhile is kept.
    /// </summary>
    private async Task<TTYInfo?> FirstSize(CancellationToken stop)
    {
        using var within = CancellationTokenSource.CreateLinkedTokenSource(stop);
        within.CancelAfter(SizeWithin);
        while (_early.Count < EarlyInputsMax && await HasInput(within.Token))
        {
            if (!io.Input.TryRead(out var input)) continue;
            if (input.Size is { } size) return new() { WindowSize = new() { Columns = (uint)size.Columns, Rows = (uint)size.Rows } };
            _early.Enqueue(input);
        }
        return null;
    }

    private async Task<bool> HasInput(CancellationToken within)
    {
        var has = false;
        return await ClientGone.Ends(async () => has = await io.Input.WaitToReadAsync(within)) && has;
    }

    /// <summary>The task's own terminal where it has one; else its output files, as they grow.</summary>
    public async Task<Status> Attach(CancellationToken stop)
    {
        try
        {
            await using var output = await _containers.Attach(container, stop);
            _end = task.Container.Tty ? default : ControlD;
            await Join(container, output, feeds: request.Stdin || request.Tty, stop);
        }
        catch (AgentRefused refused) when (refused.Status == SwitchboardDisabled)
        {
            await AttachToFiles(stop);
        }
        return Success;
    }

    private async Task AttachToFiles(CancellationToken stop)
    {
        if (request.Stdin && !task.Container.Stdin)
        {
            await io.Write(request.Stderr ? RemoteOutput.Stderr : RemoteOutput.Stdout, Encoding.UTF8.GetBytes(
                $"container \"{task.Container.Name}\" takes no input: its spec sets neither stdin nor tty. Its output follows.\n"), stop);
        }
        await Joined(async (session, feed) =>
        {
            var (hearsOut, hearsErr) = (Completion.New(), Completion.New());
            var following = Task.WhenAll(Follow(LogStreams.Stdout, RemoteOutput.Stdout, hearsOut, session), Follow(LogStreams.Stderr, RemoteOutput.Stderr, hearsErr, session));
            // Nothing is typed before what is answered to it would be heard.
            await Task.WhenAny(Task.WhenAll(hearsOut.Task, hearsErr.Task), following);
            if (request.Stdin && task.Container.Stdin) feed(container);
            await following;
        }, stop);
    }

    private async Task Join(ContainerID target, ContainerOutput output, bool feeds, CancellationToken stop)
    {
        await Joined(async (session, feed) =>
        {
            if (feeds) feed(target);
            await foreach (var (isError, data) in output.Read(session)) await io.Write(isError ? RemoteOutput.Stderr : RemoteOutput.Stdout, data, session);
        }, stop);
    }

    /// <summary>Hears what a container says until it is over, and from when it is asked to, hands over what the client types.</summary>
    /// <param name="hear">Ends with the output; its token ends where input is lost, for a process may wait for it for ever.</param>
    private async Task Joined(Func<CancellationToken, Action<ContainerID>, Task> hear, CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var session = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var feeding = Task.FromResult<Exception?>(null);
        Exception? lost = null;
        try
        {
            await hear(session.Token, target => feeding = Feed(target, session, ended.Token));
        }
        catch (Exception cut) when (session.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            lost = cut; // the reason is the input's
        }
        finally
        {
            await ended.CancelAsync();
            lost = await feeding ?? lost;
        }
        if (lost is not null) throw lost;
    }

    /// <summary>Null where all input went over, or the process has ended; else why it could not.</summary>
    /// <param name="session">Ended where input is lost.</param>
    /// <param name="ended">The output is over.</param>
    private async Task<Exception?> Feed(ContainerID target, CancellationTokenSource session, CancellationToken ended)
    {
        for (var attempt = 1; ; attempt++)
        {
            Exception failed;
            try
            {
                await _containers.Feed(target, Input(ended), ended);
                return null;
            }
            catch (Exception) when (ended.IsCancellationRequested)
            {
                return null;
            }
            catch (Exception e) when (e is AgentRefused or AgentUnavailable)
            {
                failed = e;
            }
            var again = failed is AgentUnavailable && !_isInputTaken && attempt < FeedAttemptsMax;
            if (!await ClientGone.Ends(() => Task.Delay(again ? FeedAgainIn : EndsWithin, time, ended))) return null;
            if (again) continue;
            // The end of an input that the client does not have: nothing of his is lost.
            if (!request.Stdin) return null;
            await session.CancelAsync();
            return failed;
        }
    }

    private async IAsyncEnumerable<ProcessIO> Input([EnumeratorCancellation] CancellationToken stop)
    {
        // Without stdin a command reads the end of a file, as from /dev/null. What is attached keeps the stdin it has.
        if (!request.Stdin && request.Command.Count > 0) yield return Typed(default);
        while (_early.Count > 0 || await io.Input.WaitToReadAsync(stop))
        {
            while (_early.TryDequeue(out var input) || io.Input.TryRead(out input))
            {
                _isInputTaken = true;
                if (input.Size is { } size) yield return Resized(size);
                else if (request.Stdin && (input.Data.Length > 0 || EndsInput)) yield return Typed(input.Data.Length > 0 ? input.Data : _end);
            }
        }
    }

    /// <summary>The end of a client's input is that of a command's, and of a container's only where its spec says so.</summary>
    private bool EndsInput => request.Command.Count > 0 || task.Container.StdinOnce;

    private async Task Follow(LogStreams from, RemoteOutput to, TaskCompletionSource hears, CancellationToken stop)
    {
        await foreach (var data in agent.ReadLog(task.Id, from, tailLines: 0, limitBytes: null, follow: true, stop, () => hears.TrySetResult())) await io.Write(to, data, stop);
    }

    /// <summary>No bytes are the end of the input.</summary>
    private static ProcessIO Typed(ReadOnlyMemory<byte> data) => new()
    {
        Type = ProcessIO.Types.Type.Data,
        Data = new() { Type = ProcessIO.Types.Data.Types.Type.Stdin, Data_ = Google.Protobuf.ByteString.CopyFrom(data.Span) },
    };

    private static ProcessIO Resized(TerminalSize size) => new()
    {
        Type = ProcessIO.Types.Type.Control,
        Control = new()
        {
            Type = ProcessIO.Types.Control.Types.Type.TtyInfo,
            TtyInfo = new() { WindowSize = new() { Columns = (uint)size.Columns, Rows = (uint)size.Rows } },
        },
    };

    /// <summary>A raw wait status as Kubernetes tells it: exit codes, and 128 + N for signal N.</summary>
    private static Status Result(int? wait)
    {
        if (wait is not { } status) return new(500, StatusReason.InternalError, "the agent does not tell how the command ended");
        var code = (status & 0x7f) == 0 ? (status >> 8) & 0xff : 128 + (status & 0x7f);
        if (code == 0) return Success;
        var text = code.ToString(CultureInfo.InvariantCulture);
        return new(500, "NonZeroExitCode", $"command terminated with non-zero exit code: exit status {text}") { Causes = [new("ExitCode", text, "")] };
    }
}
