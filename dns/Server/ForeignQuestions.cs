using System.Buffers;
using System.Net.Sockets;
using Declarative.Dns.Wire;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>The rests of queries that lead out of our zones: asked for elsewhere, then written for their sender. Owns what is on its way.</summary>
internal sealed class ForeignQuestions(Forwarder forwarder, ILogger logger)
{
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _open = [];

    /// <summary>How many are on their way.</summary>
    public int Open
    {
        get
        {
            lock (_gate)
            {
                _open.RemoveWhere(t => t.IsCompleted);
                return _open.Count;
            }
        }
    }

    /// <summary>Asks, and hands the answer to <paramref name="send"/> when it is there; too many at once are answered with SERVFAIL.</summary>
    /// <param name="packet">The query, the caller's no longer.</param>
    /// <param name="local">What is written already, for an alias; empty otherwise.</param>
    /// <param name="stream">Over TCP.</param>
    /// <param name="send">Takes the answer, in a buffer that is its only until it returns.</param>
    /// <param name="stop">Gives up.</param>
    public void Start(byte[] packet, byte[] local, bool stream, Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop)
    {
        var tooMany = Open >= DnsLimits.ForwardsMax;
        lock (_gate)
            _open.Add(Answer(packet, local, stream, tooMany, send, stop));
    }

    /// <summary>Completes when one more is done.</summary>
    public Task One(CancellationToken stop)
    {
        lock (_gate)
            return _open.Count == 0 ? Task.CompletedTask : Task.WhenAny(_open).WaitAsync(stop);
    }

    /// <summary>Completes when all are done.</summary>
    public Task Rest(CancellationToken stop)
    {
        lock (_gate)
            return Task.WhenAll(_open).WaitAsync(stop);
    }

    private async Task Answer(byte[] packet, byte[] local, bool stream, bool tooMany, Func<ReadOnlyMemory<byte>, ValueTask> send, CancellationToken stop)
    {
        await Task.Yield(); // not under the lock, nor on the thread that receives
        var response = ArrayPool<byte>.Shared.Rent(ushort.MaxValue);
        try
        {
            var question = Message.Read(local.Length > 0 ? local : packet);
            Message? foreign = null;
            if (question is not null && !tooMany)
                foreign = await forwarder.Ask(local.Length > 0 ? question.Answers[^1].Target : question.Question, question.Type, stop);
            var room = response.AsMemory(0, stream ? ushort.MaxValue : Dns.Answer.UdpSizeMax);
            var length = ForwardedAnswer.Write(packet, local.Length > 0 ? question : null, foreign, room.Span, stream);
            if (length > 0)
                await send(room[..length]);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or SocketException or ObjectDisposedException)
        {
            return; // the client is gone, or we are stopping
        }
        catch (Exception e)
        {
            Log.ForwardFailed(logger, Convert.ToHexString(packet), e);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(response);
        }
    }
}
