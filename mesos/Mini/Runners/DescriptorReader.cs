using System.Runtime.InteropServices;
using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>What a process writes into a pipe or terminal, read by a thread of its own: pool threads must not wait for processes.</summary>
internal sealed class DescriptorReader
{
    private const int BlockBytes = 32 * 1024;
    private readonly int descriptor;
    private readonly bool closes;
    private readonly WakeSignal stop = new();
    private readonly Func<byte[], ValueTask> take;
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="closes">The descriptor is closed at the end.</param>
    /// <param name="take">Called with each block; reading waits for it, so that a slow taker slows the process down.</param>
    public DescriptorReader(int descriptor, bool closes, string name, Func<byte[], ValueTask> take)
    {
        this.descriptor = descriptor;
        this.closes = closes;
        this.take = take;
        new Thread(Read, 256 * 1024) { IsBackground = true, Name = name }.Start();
    }

    /// <summary>Every writer has closed its end, or <see cref="Stop"/> was called.</summary>
    public Task Ended => ended.Task;

    /// <summary>Reads no further; for processes that have left their output to others.</summary>
    public void Stop() => stop.Set();

    private void Read()
    {
        var block = new byte[BlockBytes];
        var both = new Posix.PollDescriptor[] { new() { Descriptor = descriptor, Wanted = Posix.PollIn }, stop.Polled };
        try
        {
            while (true)
            {
                if (Posix.Poll(both, 2, -1) < 0 && Marshal.GetLastPInvokeError() != Posix.Interrupted)
                    break;
                // What is there already is read before a stop is obeyed.
                if (both[0].Seen == 0)
                {
                    if (both[1].Seen != 0)
                        break;
                    continue;
                }

                var count = Posix.Read(descriptor, block, block.Length);
                if (count < 0 && Marshal.GetLastPInvokeError() is Posix.Interrupted or Posix.Again)
                    continue;
                // A terminal whose process has gone answers EIO.
                if (count <= 0)
                    break;
                take(block[..(int)count]).AsTask().GetAwaiter().GetResult();
            }
        }
        catch (ChannelClosedException)
        {
            // Nobody takes it any more.
        }
        finally
        {
            if (closes)
                _ = Posix.Close(descriptor);
            stop.Dispose();
            ended.SetResult();
        }
    }
}
