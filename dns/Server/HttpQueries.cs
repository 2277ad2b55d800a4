using Declarative.Dns.Wire;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>DNS over HTTPS (RFC 8484): one message in, one message out.</summary>
internal sealed class HttpQueries(DnsZones zones, ServerParts parts, ForeignQuestions? foreign, ILogger logger)
{
    public const string MediaType = "application/dns-message";

    /// <summary>The answer and how long it may be kept, in seconds; null: what came is no query, or a transfer.</summary>
    public async Task<(byte[] Answer, uint Seconds)?> Answer(byte[] packet, byte[] client, CancellationToken stop)
    {
        var room = new byte[ushort.MaxValue];
        int length;
        AnswerFate fate;
        using (var answering = new Answering(zones, parts, logger))
        {
            answering.Begin();
            length = answering.Write(packet, room, stream: true, client, out fate);
            answering.End();
        }
        var answer = room[..length];
        if (fate is AnswerFate.Elsewhere or AnswerFate.Alias && foreign is not null)
        {
            var done = new TaskCompletionSource<byte[]>(TaskCreationOptions.RunContinuationsAsynchronously);
            foreign.Start(packet, answer, stream: true, bytes =>
            {
                done.SetResult(bytes.ToArray());
                return ValueTask.CompletedTask;
            }, stop);
            answer = await done.Task.WaitAsync(stop);
        }
        // RFC 8484, 5.1: the freshness of the HTTP answer is the least TTL in it.
        return Message.Read(answer) is not { } message ? null
            : (answer, ((IEnumerable<Record>)[.. message.Answers, .. message.Authorities]).Select(r => r.Ttl).DefaultIfEmpty(0u).Min());
    }
}
