using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>What a process is to read from a pipe or terminal, written by a thread of its own that begins with the first bytes.</summary>
internal sealed class DescriptorWriter
{
    private const int BlocksWaitingMax = 16;
    private readonly Channel<byte[]> blocks = Channel.CreateBounded<byte[]>(BlocksWaitingMax);
    private readonly WakeSignal stop = new();
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int descriptor;
    private readonly bool closes;
    private readonly string name;
    private int started;

    /// <param name="closes">The end of the input closes the descriptor: the process reads the end of a file.</param>
    public DescriptorWriter(int descriptor, bool closes, string name)
    {
        this.descriptor = descriptor;
        this.closes = closes;
        this.name = name;
        // A process that does not read must not keep the thread for ever.
        _ = Posix.FileControl(descriptor, Posix.SetStatusFlags, Posix.NonBlocking);
    }

    /// <summary>After <see cref="End"/> or <see cref="Stop"/>: the descriptor is not used any more.</summary>
    public Task Ended => ended.Task;

    /// <summary>Waits while the process reads more slowly than it is written to. False when it takes no more.</summary>
    public async ValueTask<bool> Write(byte[] bytes, CancellationToken cancel)
    {
        Start();
        try
        {
            await blocks.Writer.WriteAsync(bytes, cancel);
            return true;
        }
        catch (ChannelClosedException)
        {
            return false;
        }
    }

    /// <summary>The end of the input, after what was written before.</summary>
    public void End()
    {
        blocks.Writer.TryComplete();
        Start();
    }

    /// <summary>The process has gone: what waits is dropped.</summary>
    public void Stop()
    {
        stop.Set();
        End();
    }

    private void Start()
    {
        if (Interlocked.Exchange(ref started, 1) == 0)
            new Thread(Write, 256 * 1024) { IsBackground = true, Name = name }.Start();
    }

    private void Write()
    {
        while (blocks.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (blocks.Reader.TryRead(out var block))
            {
                if (!Write(block))
                    blocks.Writer.TryComplete();
            }
        }

        if (closes)
            _ = Posix.Close(descriptor);
        stop.Dispose();
        ended.SetResult();
    }

    private bool Write(ReadOnlySpan<byte> block)
    {
        while (!block.IsEmpty)
        {
            var count = Posix.Write(descriptor, in block[0], block.Length);
            if (count >= 0)
                block = block[(int)count..];
            else if (Marshal.GetLastPInvokeError() is not (Posix.Interrupted or Posix.Again) || !IsReady())
                return false;
        }

        return true;
    }

    private bool IsReady()
    {
        var both = new[] { new Posix.PollDescriptor { Descriptor = descriptor, Wanted = Posix.PollOut }, stop.Polled };
        return Posix.Poll(both, 2, -1) < 0 || both[1].Seen == 0;
    }
}
