using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Mesos.Protocol;
using Xunit;
using Event = Declarative.Mesos.Protocol.SchedulerApi.Event;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Recording 16, below the message: what was sent as bytes is sent as bytes, and statuses, headers, bodies, streams and the connection's end are as recorded.</summary>
public sealed class RawReplayTests
{
    private const string Name = "16-http-details";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private const double HeartbeatSeconds = 15;
    private static readonly byte[] Again = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray();

    // What is different on purpose.
    private static readonly IReadOnlyDictionary<string, string> Otherwise = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["garbage"] = "what is no HTTP is told so (400) before the connection is closed",
        ["no Host header"] = "HTTP/1.1 without Host is a bad request (RFC 9112, 3.2)",
    };

    [Fact(Timeout = 120_000)]
    public async Task Bytes_are_answered_as_recorded()
    {
        await using var world = new ReplayWorld(new() { Cluster = "rec" });
        await world.Start();
        var comparison = new Comparison();
        var notes = new List<string>();
        foreach (var exchange in RawExchange.Of(Name))
        {
            notes.Add(exchange.Note);
            await Play(world, exchange, comparison);
        }
        Assert.True(notes.Count >= 27, $"{notes.Count} exchanges");
        Assert.Superset(Otherwise.Keys.ToHashSet(StringComparer.Ordinal), notes.ToHashSet(StringComparer.Ordinal));
        Assert.Equal(Otherwise.Keys.Order(StringComparer.Ordinal), comparison.Reports.Select(x => x.Split(": ")[0]).Distinct().Order(StringComparer.Ordinal));
    }

    private static async Task Play(ReplayWorld world, RawExchange exchange, Comparison comparison)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, world.Ports[5050]);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.Latin1.GetBytes(exchange.Request));
        var recorded = Answers(exchange.Answer, "\n");
        var (text, isClosed) = ("", false);
        using var patience = new CancellationTokenSource(Patience);
        while (!isClosed && !IsAllOf(recorded, Answers(text, "\r\n"))) isClosed = await Read();
        var ours = Answers(text, "\r\n");
        Report(ours.Count == recorded.Count, $"{ours.Count} answers instead of {recorded.Count}");
        foreach (var (one, other) in recorded.Zip(ours)) Compare(exchange.Note, one, other, comparison);
        if (exchange.IsClosed)
        {
            while (!isClosed) isClosed = await Read();
        }
        else
        {
            Report(!isClosed && await StaysOpen(), "the connection is closed");
        }

        // One that is open answers another request; a stream has a heartbeat in time.
        async Task<bool> StaysOpen()
        {
            var before = text.Length;
            if (ours is [{ IsStream: true }, ..])
            {
                await world.Pass(HeartbeatSeconds + 1);
                while (!isClosed && text.Length == before) isClosed = await Read();
            }
            else
            {
                await stream.WriteAsync(Again);
                while (!isClosed && Answers(text, "\r\n").Count <= ours.Count) isClosed = await Read();
            }
            return !isClosed;
        }

        async Task<bool> Read()
        {
            var buffer = new byte[64 * 1024];
            try
            {
                var reading = stream.ReadAsync(buffer, patience.Token).AsTask();
                // What the framework of the exchange before had is offered in a round of the master.
                while (await Task.WhenAny(reading, Task.Delay(100, CancellationToken.None)) != reading) await world.Pass(0.5);
                var read = await reading;
                text += Encoding.Latin1.GetString(buffer, 0, read);
                return read == 0;
            }
            catch (Exception lost) when (lost is IOException or OperationCanceledException)
            {
                Report(lost is IOException, "not all of it comes");
                return true;
            }
        }

        void Report(bool holds, string what)
        {
            if (!holds) comparison.Reports.Add($"{exchange.Note}: {what}");
        }
    }

    private static List<RawAnswer> Answers(string text, string newline)
    {
        var answers = new List<RawAnswer>();
        while (text.Length > 0 && RawAnswer.Parse(text, newline) is { } answer)
        {
            answers.Add(answer);
            text = answer.Rest;
        }
        return answers;
    }

    /// <summary>A stream has shown as many records as the recorded one had.</summary>
    private static bool IsAllOf(List<RawAnswer> recorded, List<RawAnswer> ours) =>
        ours.Count > 0 && ours.Count >= recorded.Count && (!ours[0].IsStream || (IsProtobuf(ours[0]) ? Events(ours[0]).Count >= 2 : ours[0].Records.Count() >= recorded[0].Records.Count()));

    private static bool IsProtobuf(RawAnswer answer) => answer.Heads.GetValueOrDefault("content-type") == "application/x-protobuf";

    private static void Compare(string note, RawAnswer recorded, RawAnswer ours, Comparison comparison)
    {
        if (recorded.Status != ours.Status) comparison.Reports.Add($"{note}: status {ours.Status} instead of {recorded.Status}");
        foreach (var name in (string[])["content-type", "content-encoding", "allow"])
        {
            if (recorded.Heads.GetValueOrDefault(name) != ours.Heads.GetValueOrDefault(name)) comparison.Reports.Add($"{note}: {name} {ours.Heads.GetValueOrDefault(name)} instead of {recorded.Heads.GetValueOrDefault(name)}");
        }
        foreach (var name in (string[])["transfer-encoding", "mesos-stream-id"])
        {
            if (recorded.Heads.ContainsKey(name) != ours.Heads.ContainsKey(name)) comparison.Reports.Add($"{note}: {name} {(ours.Heads.ContainsKey(name) ? "too much" : "missing")}");
        }
        if (ours.Heads.ContainsKey("content-encoding")) return;
        if (IsProtobuf(ours))
        {
            if (!Events(ours).Select(x => x.Type).SequenceEqual([Event.Types.Type.Subscribed, Event.Types.Type.Offers])) comparison.Reports.Add($"{note}: other events");
        }
        else if (ours.IsStream)
        {
            foreach (var (one, other) in recorded.Records.Zip(ours.Records))
            {
                var (wanted, has) = (JsonNode.Parse(one)!, JsonNode.Parse(other)!);
                comparison.Shapes($"{note}: {wanted["type"]}", wanted, has);
            }
        }
        else
        {
            comparison.Texts(note, "body", recorded.Body, ours.Body);
        }
    }

    /// <summary>Of a stream of protobuf records, without heartbeats.</summary>
    private static List<Event> Events(RawAnswer answer)
    {
        var (events, text) = (new List<Event>(), answer.Body);
        while (text.IndexOf('\n', StringComparison.Ordinal) is > 0 and var end && int.TryParse(text.AsSpan(0, end), out var size) && text.Length >= end + 1 + size)
        {
            events.Add(Event.Parser.ParseFrom(Encoding.Latin1.GetBytes(text.Substring(end + 1, size))));
            text = text[(end + 1 + size)..];
        }
        return [.. events.Where(x => x.Type is not Event.Types.Type.Heartbeat)];
    }
}
