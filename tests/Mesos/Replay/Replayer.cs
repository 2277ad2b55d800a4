using System.Text;
using System.Text.Json.Nodes;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>
/// Sends a recording's requests to our master and agents in the recorded order, each when what was recorded before it has come, with our ids
/// in place of the recorded ones, and reports how what comes back differs: status, content type, texts, the shape of messages, events that do
/// not come or are too many. When something comes is not compared.
/// </summary>
internal sealed class Replayer : IAsyncDisposable
{
    // Seconds of the clock: an agent is given up at a ping, of which there is one every 15.
    private const double Patience = 20;

    private readonly ReplayWorld world;
    private readonly string recording;
    private readonly List<Entry> entries;
    private readonly Func<string, bool> isForetold;
    private readonly HttpClient http = new(
        new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = System.Net.DecompressionMethods.All,
            PooledConnectionIdleTimeout = TimeSpan.Zero,
        }
    );
    private readonly Dictionary<int, (Entry Request, Task<HttpResponseMessage> Response)> sent = [];
    private readonly Dictionary<int, ReplayStream> streams = [];
    private readonly Dictionary<(int Connection, string Type), string> output = [];
    private readonly List<ReplayStream> closed = [];
    private readonly HashSet<string> taken = new(StringComparer.Ordinal);
    private readonly HashSet<string> expected = new(StringComparer.Ordinal);
    private double at;
    private readonly RecordedIds ids;
    private readonly RecordedOffers offers;
    private readonly Comparison comparison = new();

    /// <param name="isForetold">A report that is a known difference: what will not come is not waited for.</param>
    public Replayer(ReplayWorld world, string recording, List<Entry> entries, Func<string, bool> isForetold)
    {
        this.isForetold = isForetold;
        this.world = world;
        this.recording = recording;
        this.entries = entries;
        ids = new(entries, world.AgentIds);
        offers = new(world, ids, comparison);
    }

    public SortedSet<string> Reports => comparison.Reports;

    public async Task Run()
    {
        var deeds = new Queue<Deed>(Deeds.Of(recording));
        foreach (var entry in entries)
        {
            while (deeds.TryPeek(out var deed) && deed.At <= entry.At)
            {
                await world.Pass(deed.At - at);
                at = deed.At;
                await deeds.Dequeue().Do(world);
            }

            await world.Pass(entry.At - at);
            at = entry.At;
            await Play(entry);
        }

        foreach (var left in streams.Values.Concat(closed).SelectMany(stream => stream.Left))
        {
            // What was not acknowledged in time comes again.
            var isRepeated = (string?)left["update"]?["status"]?["uuid"] is { } uuid && taken.Contains(uuid);
            if (!isRepeated && (string?)left["type"] is not ("HEARTBEAT" or "SUBSCRIBED" or "RESCIND"))
                Reports.Add($"{Comparison.Kind(left)}: too much");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var stream in streams.Values)
            await stream.DisposeAsync();
        http.Dispose();
    }

    private async Task Play(Entry entry)
    {
        switch (entry.Moment)
        {
            case Moment.Request:
                await Send(entry);
                break;
            case Moment.Response or Moment.Head when sent.Remove(entry.Connection, out var question):
                await Answered(question.Request, question.Response, entry);
                break;
            case Moment.Record when streams.TryGetValue(entry.Connection, out var stream):
                await Expect(entry.Connection, stream, JsonNode.Parse(entry.Text)!);
                break;
            case Moment.StreamEnded when streams.TryGetValue(entry.Connection, out var ended):
                if (!await world.Until(() => ended.Ended, processes: true))
                    Reports.Add("the stream does not end");
                CompareOutput(entry.Connection, ended);
                break;
            case Moment.ClientClosed when streams.Remove(entry.Connection, out var left):
                await left.DisposeAsync();
                closed.Add(left);
                break;
        }
    }

    private async Task Send(Entry entry)
    {
        // Both agents' directories have the same name in recordings.
        if (entry.Body.Contains("\"KILL\"", StringComparison.Ordinal))
            await world.Rest();
        string OnAgent(string text) => (Comparison.IsMaster(entry.Port) ? text : text.Replace("/var/lib/mxxx", world.Agent(entry.Port - 5050).Options.WorkDirectory, StringComparison.Ordinal))
            .Replace("/var/lib/mxxxxxxx-me.txt", world.FileToFetch, StringComparison.Ordinal);
        var body = OnAgent(ids.Ours(await WithOffers(entry.Body)));
        var line = OnAgent(ids.Ours(entry.HeadLines[0])).Split(' ');
        var request = new HttpRequestMessage(new HttpMethod(line[0]), $"http://127.0.0.1:{world.Ports[entry.Port]}{line[1]}");
        if (line[0] is "POST")
            request.Content = new ByteArrayContent(Encoding.UTF8.GetBytes(Reframed(body)));
        foreach (var header in entry.HeadLines.Skip(1).Select(header => header.Split(": ", 2)).Where(header => header.Length == 2))
        {
            if (header[0].ToLowerInvariant() is "host" or "content-length" or "transfer-encoding" or "expect" or "connection")
                continue;
            if (!request.Headers.TryAddWithoutValidation(header[0], ids.Ours(header[1])))
                request.Content?.Headers.TryAddWithoutValidation(header[0], header[1]);
        }

        sent[entry.Connection] = (entry, Answer(request));
    }

    private async Task<HttpResponseMessage> Answer(HttpRequestMessage request)
    {
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        }
        finally
        {
            world.Arrived();
        }
    }

    // The offers that a call names are found when it is sent.
    private async Task<string> WithOffers(string body)
    {
        if (!body.Contains("\"offer_ids\"", StringComparison.Ordinal))
            return body;
        var call = JsonNode.Parse(body)!;
        if ((call["accept"] ?? call["decline"])?["offer_ids"] is not JsonArray named)
            return body;
        var ours = await offers.Use([.. named.Select(one => (string)one!["value"]!)]);
        return body.Replace($"\"offer_ids\":{named.ToJsonString()}", $"\"offer_ids\":{ours.ToJsonString()}", StringComparison.Ordinal);
    }

    // Of records one behind the other: ids of another length change the frames.
    private static string Reframed(string body)
    {
        if (body.Length == 0 || !char.IsAsciiDigit(body[0]) || !body.Contains("\n{", StringComparison.Ordinal))
            return body;
        var records = body.Split('\n').Skip(1).Select(part => part[..(part.LastIndexOf('}') + 1)]);
        return string.Concat(records.Select(record => $"{Encoding.UTF8.GetByteCount(record)}\n{record}"));
    }

    private async Task Answered(Entry request, Task<HttpResponseMessage> sending, Entry recorded)
    {
        var kind = Comparison.Kind(request);
        // A master answers at once, whatever the clock says; an agent may wait for a process.
        if (Comparison.IsMaster(request.Port))
            await Task.WhenAny(sending, Task.Delay(TimeSpan.FromMinutes(1)));
        else
            await world.Until(() => sending.IsCompleted, processes: true, patience: 60);
        if (!sending.IsCompletedSuccessfully)
        {
            Reports.Add($"{kind}: no answer {sending.Exception?.GetBaseException().Message}");
            return;
        }

        var response = await sending;
        comparison.Heads(kind, recorded, response);
        if (recorded.Moment == Moment.Head)
        {
            if (recorded.Header("Mesos-Stream-Id") is { } id && response.Headers.TryGetValues("Mesos-Stream-Id", out var ours))
                ids.Set(id, ours.Single());
            streams[recorded.Connection] = new ReplayStream(response, world.Arrived);
            return;
        }

        using (response)
        {
            var body = await response.Content.ReadAsStringAsync();
            if (recorded.Status != (int)response.StatusCode)
                return;
            if (recorded.Header("Content-Type") == "application/json" && recorded.Header("Content-Encoding") is null && recorded.Body is ['{' or '[', ..])
                comparison.Shapes(kind, JsonNode.Parse(recorded.Body), JsonNode.Parse(body));
            else if (recorded.Header("Content-Type") == "text/javascript")
                comparison.Shapes(kind, Argument(recorded.Body), Argument(body));
            else
                comparison.Texts(kind, "text", ids.Ours(recorded.Body), body);
        }
    }

    // Of a call of a function, as jsonp makes it.
    private static JsonNode? Argument(string call) => JsonNode.Parse(call[(call.IndexOf('(', StringComparison.Ordinal) + 1)..call.LastIndexOf(')')]);

    private async Task Expect(int connection, ReplayStream stream, JsonNode recorded)
    {
        // How often something comes again that is being acknowledged is chance.
        if ((string?)recorded["update"]?["status"]?["uuid"] is { } id && !expected.Add($"{connection} {id} {(int)at / 5}"))
            return;
        switch ((string?)recorded["type"])
        {
            case "HEARTBEAT":
                return;
            case "DATA":
                var type = (string)recorded["data"]!["type"]!;
                output[(connection, type)] = output.GetValueOrDefault((connection, type)) + Encoding.UTF8.GetString(Convert.FromBase64String((string)recorded["data"]!["data"]!));
                return;
            case "OFFERS":
                foreach (var offer in recorded["offers"]!["offers"]!.AsArray())
                    await offers.Expect(stream, offer!);
                return;
        }

        var kind = Comparison.Kind(recorded);
        JsonNode? found = null;
        var missing = $"{kind}: does not come";
        // What comes again because its acknowledgement was late is not the next one of its kind.
        var before = (string?)recorded["update"]?["status"]?["uuid"] is { } known ? ids.Known(known) : null;
        bool IsIt(JsonNode one) => Comparison.Kind(one) == kind && ((string?)one["update"]?["status"]?["uuid"] is not { } uuid || (before is null ? !taken.Contains(uuid) : uuid == before));
        if (!await world.Until(() => (found = stream.Take(IsIt)) is not null, Comparison.IsOfProcesses(recorded), isForetold(missing) ? 0 : Patience))
        {
            Reports.Add(missing);
            return;
        }

        ids.Learn(recorded, found);
        if ((string?)found!["update"]?["status"]?["uuid"] is { } uuid)
            taken.Add(uuid);
        comparison.Shapes(kind, recorded, found);
        if ((string?)recorded["update"]?["status"]?["message"] is { } message)
            comparison.Texts(kind, "message", ids.Ours(message), (string?)found["update"]?["status"]?["message"] ?? "");
    }

    // Who attached to a process may have missed what it wrote before.
    private void CompareOutput(int connection, ReplayStream stream)
    {
        foreach (var ((of, type), text) in output)
        {
            if (of == connection && !stream.Output(type).EndsWith(text, StringComparison.Ordinal))
                comparison.Texts(type, "output", ids.Ours(text).Replace("/tmp/mesos-a2", world.Agent(2).Options.WorkDirectory, StringComparison.Ordinal), stream.Output(type));
        }
    }
}
