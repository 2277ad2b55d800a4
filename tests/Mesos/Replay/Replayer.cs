using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Declarative.Mesos.Protocol;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>
/// Sends a recording's requests to our master and agents in the recorded order, with our ids in place of the recorded ones, and reports
/// how what comes back differs: status, content type, texts, the shape of messages, events that do not come.
/// </summary>
internal sealed partial class Replayer(ReplayWorld world, string recording, List<Entry> entries) : IAsyncDisposable
{
    private readonly HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false, AutomaticDecompression = System.Net.DecompressionMethods.All, PooledConnectionIdleTimeout = TimeSpan.Zero });
    private readonly Dictionary<int, (Entry Request, HttpResponseMessage Response)> answers = [];
    private readonly Dictionary<int, OpenStream> streams = [];
    private readonly Dictionary<string, string> ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> inPieces = new(StringComparer.Ordinal);

    public SortedSet<string> Reports { get; } = new(StringComparer.Ordinal);

    public async Task Run()
    {
        KnowAgents();
        var deeds = new Queue<Deed>(Deeds.Of(recording));
        var at = 0d;
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
            switch (entry.Moment)
            {
                case Moment.Request:
                    await Send(entry);
                    break;
                case Moment.Response when answers.Remove(entry.Connection, out var answer):
                    await Compare(answer.Request, entry, answer.Response);
                    answer.Response.Dispose();
                    break;
                case Moment.Head when answers.Remove(entry.Connection, out var opened):
                    CompareHeads(Kind(opened.Request), entry, opened.Response);
                    if (entry.Header("Mesos-Stream-Id") is { } recorded && opened.Response.Headers.TryGetValues("Mesos-Stream-Id", out var ours))
                        ids[recorded] = ours.Single();
                    streams[entry.Connection] = new OpenStream(opened.Response);
                    break;
                case Moment.Record when streams.TryGetValue(entry.Connection, out var stream):
                    await Expect(stream, JsonNode.Parse(entry.Text)!);
                    break;
                case Moment.StreamEnded when streams.TryGetValue(entry.Connection, out var ended):
                    if (!await world.Until(() => ended.Ended))
                        Reports.Add("the stream does not end");
                    break;
                case Moment.ClientClosed when streams.Remove(entry.Connection, out var closed):
                    await closed.DisposeAsync();
                    break;
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var stream in streams.Values)
            await stream.DisposeAsync();
        foreach (var (_, response) in answers.Values)
            response.Dispose();
        http.Dispose();
    }

    // The recorded agents, by the port that offers and views name beside their id.
    private void KnowAgents()
    {
        foreach (var text in entries.Where(entry => entry.Moment is Moment.Record or Moment.Response).Select(entry => entry.Text))
        {
            foreach (Match match in OfferOfAgent().Matches(text))
                ids.TryAdd(match.Groups["id"].Value, world.AgentIds[int.Parse(match.Groups["port"].Value)]);
            foreach (Match match in ViewOfAgent().Matches(text))
                ids.TryAdd(match.Groups["id"].Value, world.AgentIds[int.Parse(match.Groups["port"].Value)]);
        }
    }

    private async Task Send(Entry entry)
    {
        // Both agents' directories have the same name in recordings.
        string OnAgent(string text) => entry.Port == 5050 ? text : text.Replace("/var/lib/mxxx", world.Agent(entry.Port - 5050).Options.WorkDirectory, StringComparison.Ordinal);
        var body = OnAgent(Ours(entry.Body));
        var line = OnAgent(entry.HeadLines[0]).Split(' ');
        var request = new HttpRequestMessage(new HttpMethod(line[0]), $"http://127.0.0.1:{world.Ports[entry.Port]}{Ours(line[1])}") { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(body)) };
        foreach (var header in entry.HeadLines.Skip(1).Select(header => header.Split(": ", 2)).Where(header => header.Length == 2))
        {
            if (header[0].ToLowerInvariant() is "host" or "content-length" or "transfer-encoding" or "expect" or "connection")
                continue;
            if (!request.Headers.TryAddWithoutValidation(header[0], Ours(header[1])))
                request.Content.Headers.TryAddWithoutValidation(header[0], header[1]);
        }

        var sending = http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!entries.Exists(other => other.Connection == entry.Connection && other.Moment is Moment.Response or Moment.Head))
            // There was nobody to answer.
            await world.Until(() => sending.IsCompleted, rounds: 5000, held: 5000);
        else if (await world.Until(() => sending.IsCompleted, rounds: 5000, held: 5000) && sending.IsCompletedSuccessfully)
            answers[entry.Connection] = (entry, await sending);
        else
            Reports.Add($"{Kind(entry)}: no answer");
    }

    private void CompareHeads(string kind, Entry recorded, HttpResponseMessage ours)
    {
        if (recorded.Status != (int)ours.StatusCode)
            Reports.Add($"{kind}: status {(int)ours.StatusCode} instead of {recorded.Status}");
        if (recorded.Header("Content-Type") != ours.Content.Headers.ContentType?.ToString())
            Reports.Add($"{kind}: type {ours.Content.Headers.ContentType} instead of {recorded.Header("Content-Type")}");
        var present = ours.Headers.Concat(ours.Content.Headers).Select(header => header.Key).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var name in (string[])["Mesos-Stream-Id", "Message-Content-Type", "Allow", "Location", "WWW-Authenticate"])
        {
            var has = present.Contains(name);
            if (has != recorded.Header(name) is not null)
                Reports.Add($"{kind}: header {name} {(has ? "too much" : "missing")}");
        }
    }

    private async Task Compare(Entry request, Entry recorded, HttpResponseMessage ours)
    {
        var kind = Kind(request);
        CompareHeads(kind, recorded, ours);
        var body = await ours.Content.ReadAsStringAsync();
        if (recorded.Status != (int)ours.StatusCode)
            return;
        if (recorded.Header("Content-Type") == "application/json" && recorded.Header("Content-Encoding") is null && recorded.Body is ['{' or '[', ..])
            CompareShapes(kind, JsonNode.Parse(recorded.Body), JsonNode.Parse(body));
        else if (Comparable(Ours(recorded.Body)) != Comparable(body))
            Reports.Add($"{kind}: text '{Comparable(body)}' instead of '{Comparable(Ours(recorded.Body))}'");
    }

    private async Task Expect(OpenStream stream, JsonNode recorded)
    {
        if ((string?)recorded["type"] == "HEARTBEAT")
            return;
        if ((string?)recorded["type"] == "OFFERS")
        {
            foreach (var offer in recorded["offers"]!["offers"]!.AsArray())
                await ExpectOffer(stream, offer!);
            return;
        }

        var kind = Kind(recorded);
        var found = await Take(() => stream.Take(one => Kind(one) == kind), IsOfProcesses(recorded));
        if (found is null)
        {
            Reports.Add($"{kind}: does not come");
            return;
        }

        Learn(recorded, found);
        CompareShapes(kind, recorded, found);
        var message = (string?)recorded["update"]?["status"]?["message"];
        var other = (string?)found["update"]?["status"]?["message"];
        if (message is not null && Comparable(Ours(message)) != Comparable(other ?? ""))
            Reports.Add($"{kind}: message '{Comparable(other ?? "")}' instead of '{Comparable(Ours(message))}'");
    }

    // An offer of the same agent and role, of the same resources where there is one.
    private async Task ExpectOffer(OpenStream stream, JsonNode recorded)
    {
        var agent = Ours((string)recorded["agent_id"]!["value"]!);
        var role = recorded["allocation_info"]?["role"]?.ToJsonString();
        var resources = Resources(recorded);
        bool Same(JsonNode offer) => (string?)offer["agent_id"]!["value"] == agent && offer["allocation_info"]?["role"]?.ToJsonString() == role && offer["unavailability"] is null == recorded["unavailability"] is null;
        if (await Take(() => stream.TakeOffer(offer => Same(offer) && Resources(offer) == resources), processes: false, rounds: 30, held: 10) is { } found)
        {
            Learn(recorded, found);
            CompareShapes("OFFERS", recorded, found);
            return;
        }

        // The same in other pieces: rounds of offers come at other moments here than there.
        List<JsonNode> pieces = [];
        while (stream.TakeOffer(Same) is { } piece)
            pieces.Add(piece);
        if (pieces.Count == 0)
        {
            Reports.Add("OFFERS: an offer does not come");
            return;
        }

        var whole = recorded.DeepClone().AsObject();
        foreach (var piece in pieces.Prepend(whole).Select(one => one.AsObject()))
        {
            piece.Remove("resources");
            piece.Remove("executor_ids");
        }

        Learn(whole, pieces[0]);
        CompareShapes("OFFERS", whole, pieces[0]);
        inPieces[(string)recorded["id"]!["value"]!] = string.Join("},{", pieces.Select(piece => $"\"value\":\"{piece["id"]!["value"]}\""));
    }

    private async Task<JsonNode?> Take(Func<JsonNode?> take, bool processes, int rounds = 500, int held = 40)
    {
        JsonNode? found = null;
        await world.Until(() => (found = take()) is not null, processes, rounds, held);
        return found;
    }

    // What executors and agents say of tasks waits for their processes, whether the master passes it on or its event stream shows it.
    private static bool IsOfProcesses(JsonNode message) =>
        (string?)message["type"] is "FAILURE" || (string?)(message["update"]?["status"] ?? message["task_updated"]?["status"])?["source"] is "SOURCE_EXECUTOR" or "SOURCE_AGENT";

    private void CompareShapes(string kind, JsonNode? recorded, JsonNode? ours)
    {
        var (wanted, has) = (Paths(recorded), Paths(ours));
        foreach (var path in wanted.Except(has))
            Reports.Add($"{kind}: missing {path}");
        foreach (var path in has.Except(wanted))
            Reports.Add($"{kind}: too much {path}");
    }

    private static HashSet<string> Paths(JsonNode? node) => [.. Recorded.Shape(node).Split('\n').Where(path => path.Length > 0)];

    /// <summary>Both are the same event: the ids in it are each other's.</summary>
    private void Learn(JsonNode? recorded, JsonNode? ours)
    {
        switch (recorded, ours)
        {
            case (JsonObject one, JsonObject other):
                foreach (var (name, value) in one)
                    Learn(value, other[name]);
                break;
            case (JsonArray one, JsonArray other):
                for (var i = 0; i < Math.Min(one.Count, other.Count); i++)
                    Learn(one[i], other[i]);
                break;
            case (JsonValue one, JsonValue other) when one.TryGetValue<string>(out var text) && other.TryGetValue<string>(out var mine):
                if (text != mine && AnyId().Match(text) is { Success: true } id && id.Length == text.Length)
                    ids[text] = mine;
                break;
        }
    }

    private string Ours(string text)
    {
        foreach (var (recorded, ours) in inPieces)
            text = text.Replace($"\"value\":\"{recorded}\"", ours, StringComparison.Ordinal);
        return AnyId().Replace(text, match => ids.GetValueOrDefault(match.Value, match.Value));
    }

    private static string Comparable(string text) => Numbers().Replace(AnyId().Replace(text, "ID"), "N").TrimEnd('\n');

    private static string Resources(JsonNode offer) =>
        string.Join('\n', offer["resources"]!.AsArray().Select(one => $"{one!["name"]} {one["scalar"]?["value"]?.GetValue<double>()} {one["ranges"]?.ToJsonString()} {one["reservations"]?.ToJsonString()} {one["disk"]?["persistence"]?.ToJsonString()}").Order(StringComparer.Ordinal));

    private static string Kind(Entry request)
    {
        if (!request.Body.StartsWith('{'))
            return $"{(request.Port == 5050 ? "master" : "agent")} {request.HeadLines[0].Split(' ')[0]} {request.Path.Split('?')[0]}";
        try
        {
            return $"{(request.Port == 5050 ? "master" : "agent")} {JsonNode.Parse(request.Body)!["type"]}";
        }
        catch (System.Text.Json.JsonException)
        {
            return "a broken call";
        }
    }

    private static string Kind(JsonNode message)
    {
        var status = message["update"]?["status"] ?? message["task_updated"]?["status"];
        if (status is not null)
            return $"{message["type"]} {status["task_id"]!["value"]} {status["state"]} {status["source"]} {status["reason"]}{(status["healthy"] is { } healthy ? $" healthy {healthy}" : "")}";
        var id = message["failure"]?["executor_id"]?["value"] ?? message["task_added"]?["task"]?["task_id"]?["value"] ?? message["update_operation_status"]?["status"]?["operation_id"]?["value"];
        return $"{message["type"]} {id}".TrimEnd();
    }

    [GeneratedRegex("""[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?:-(?:S|O)?[0-9]+)?|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{22}==""")]
    private static partial Regex AnyId();

    [GeneratedRegex("[0-9]+(?:\\.[0-9]+)?")]
    private static partial Regex Numbers();

    [GeneratedRegex("""
        "agent_id":\{"value":"(?<id>[^"]+)"\},"hostname":"127.0.0.1","url":\{"scheme":"http","address":\{"hostname":"127.0.0.1","ip":"127.0.0.1","port":(?<port>505[12])
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex OfferOfAgent();

    [GeneratedRegex("""
        "agent_info":\{"hostname":"127.0.0.1","port":(?<port>505[12]).*?"id":\{"value":"(?<id>[^"]+)"\}
        """, RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex ViewOfAgent();

    /// <summary>The records of one stream that nothing has been compared with yet.</summary>
    private sealed class OpenStream : IAsyncDisposable
    {
        private readonly Lock gate = new();
        private readonly List<JsonNode> records = [];
        private readonly List<JsonNode> offers = [];
        private readonly CancellationTokenSource stop = new();
        private readonly HttpResponseMessage response;
        private readonly Task reading;

        public OpenStream(HttpResponseMessage response)
        {
            this.response = response;
            reading = Read();
        }

        public bool Ended => reading.IsCompleted;

        public JsonNode? Take(Func<JsonNode, bool> which) => Take(records, which);

        public JsonNode? TakeOffer(Func<JsonNode, bool> which) => Take(offers, which);

        public async ValueTask DisposeAsync()
        {
            await stop.CancelAsync();
            await reading;
            response.Dispose();
            stop.Dispose();
        }

        private JsonNode? Take(List<JsonNode> from, Func<JsonNode, bool> which)
        {
            lock (gate)
            {
                var at = from.FindIndex(one => which(one));
                if (at < 0)
                    return null;
                var found = from[at];
                from.RemoveAt(at);
                return found;
            }
        }

        private async Task Read()
        {
            try
            {
                await using var reader = new RecordReader(await response.Content.ReadAsStreamAsync(stop.Token));
                while (await reader.Read(stop.Token) is { } record)
                {
                    var message = JsonNode.Parse(System.Buffers.BuffersExtensions.ToArray(record))!;
                    lock (gate)
                    {
                        if ((string?)message["type"] == "OFFERS")
                            offers.AddRange(message["offers"]!["offers"]!.AsArray().Select(offer => offer!.DeepClone()));
                        else
                            records.Add(message);
                    }
                }
            }
            catch (Exception ended) when (ended is IOException or InvalidDataException or HttpRequestException or OperationCanceledException)
            {
                // The master ended it, or this side did.
                return;
            }
        }
    }
}
