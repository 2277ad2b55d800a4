using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;

namespace Declarative.ApiServer.Streams;

/// <summary>Bytes both ways between a client's stream and a port, each direction ending by itself, as TCP's do.</summary>
internal static class ForwardedConnection
{
    private const int BufferBytes = 32 * 1024;

    /// <param name="send">To the client.</param>
    /// <param name="sent">Ends what goes to the client.</param>
    /// <param name="delivered">Called when the port has all that comes from the client.</param>
    public static async Task Join(Socket port, PipeReader fromClient, Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> send, Func<CancellationToken, ValueTask> sent, CancellationToken stop, Action? delivered = null)
    {
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(stop);
        await Task.WhenAll(Guarded(ToPort(port, fromClient, delivered, failed.Token), failed), Guarded(ToClient(port, send, sent, failed.Token), failed));
    }

    /// <summary>One direction that breaks takes the other with it.</summary>
    private static async Task Guarded(Task direction, CancellationTokenSource failed)
    {
        try
        {
            await direction;
        }
        catch
        {
            await failed.CancelAsync();
            throw;
        }
    }

    private static async Task ToPort(Socket port, PipeReader fromClient, Action? delivered, CancellationToken stop)
    {
        while (true)
        {
            var read = await fromClient.ReadAsync(stop);
            foreach (var data in read.Buffer)
            {
                for (var rest = data; !rest.IsEmpty;) rest = rest[await port.SendAsync(rest, stop)..];
            }
            fromClient.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted) break;
        }
        port.Shutdown(SocketShutdown.Send);
        delivered?.Invoke();
    }

    private static async Task ToClient(Socket port, Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask> send, Func<CancellationToken, ValueTask> sent, CancellationToken stop)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (await port.ReceiveAsync(buffer, stop) is > 0 and var read) await send(buffer.AsMemory(0, read), stop);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        await sent(stop);
    }
}
