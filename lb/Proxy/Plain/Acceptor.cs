using System.Net.Sockets;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// A listening socket on an event loop: thousands of them cost one registration each, where a pending accept apiece costs a task, its buffers and a
/// wait of its own. Level-triggered: one connection per look, and what is left is told again.
/// </summary>
/// <param name="accepted">Is given each connection, on the loop's thread.</param>
/// <param name="failed">Is told why none can be taken now; it is tried again after <see cref="RetryMilliseconds"/>.</param>
internal sealed class Acceptor(EventLoop loop, Socket listener, Action<Socket> accepted, Action<SocketException> failed) : Handler
{
    private const int RetryMilliseconds = 20;

    /// <summary>On the loop's thread. A listener that is closed by now is left alone: its number may be another socket's.</summary>
    public void Begin()
    {
        var held = false;
        try
        {
            listener.SafeHandle.DangerousAddRef(ref held);
            Fd = (int)listener.SafeHandle.DangerousGetHandle();
            if (!loop.Add(this, Libc.In)) failed(new((int)SocketError.NoBufferSpaceAvailable));
        }
        catch (ObjectDisposedException)
        {
            Fd = -1;
        }
        finally
        {
            if (held) listener.SafeHandle.DangerousRelease();
        }
    }

    /// <summary>On the loop's thread, after the listener was closed: the kernel has forgotten it with that.</summary>
    public void End() => loop.Forget(this);

    public override void News(uint events)
    {
        try
        {
            accepted(listener.Accept());
        }
        catch (ObjectDisposedException)
        {
            End();
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.OperationAborted or SocketError.Interrupted)
        {
            // Somebody who was gone before he was taken, or the listener is being closed.
            if (listener.SafeHandle.IsClosed) End();
        }
        catch (SocketException e)
        {
            failed(e);
            Pause();
        }
    }

    public override void Late()
    {
        Deadline = long.MaxValue;
        if (listener.SafeHandle.IsClosed) End();
        else loop.Watch(this, Libc.In);
    }

    /// <summary>Whoever was to get the connection has failed: the next one is taken all the same, after a pause.</summary>
    public override void Break()
    {
        if (listener.SafeHandle.IsClosed) End();
        else Pause();
    }

    private void Pause()
    {
        loop.Watch(this, 0);
        Deadline = loop.Now + RetryMilliseconds;
    }
}
