using System.Text;
using System.Text.Json.Nodes;
using Declarative.Mesos.Protocol;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>One stream that our master or agent answers with: its records that nothing has been compared with yet, offers apart, output joined.</summary>
internal sealed class ReplayStream : IAsyncDisposable
{
    private readonly Lock gate = new();
    private readonly List<JsonNode> records = [];
    private readonly List<JsonNode> offers = [];
    private readonly SortedDictionary<string, StringBuilder> output = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource stop = new();
    private readonly HttpResponseMessage response;
    private readonly Action arrived;
    private readonly Task reading;

    /// <param name="arrived">Told of each record and of the end, from another thread.</param>
    public ReplayStream(HttpResponseMessage response, Action arrived)
    {
        this.response = response;
        this.arrived = arrived;
        reading = Read();
    }

    public bool Ended => reading.IsCompleted;

    /// <summary>Events that were not taken.</summary>
    public IReadOnlyList<JsonNode> Left
    {
        get
        {
            lock (gate)
                return [.. records];
        }
    }

    public JsonNode? Take(Func<JsonNode, bool> which)
    {
        lock (gate)
        {
            var at = records.FindIndex(one => which(one));
            if (at < 0)
                return null;
            var found = records[at];
            records.RemoveAt(at);
            return found;
        }
    }

    /// <summary>Offers that hold, as far as the master has told; they stay.</summary>
    public List<JsonNode> Offers(Func<JsonNode, bool> which)
    {
        lock (gate)
            return [.. offers.Where(which)];
    }

    public void Use(IEnumerable<string> offerIds)
    {
        var used = offerIds.ToHashSet(StringComparer.Ordinal);
        lock (gate)
            offers.RemoveAll(offer => used.Contains((string)offer["id"]!["value"]!));
    }

    /// <summary>What processes wrote: by STDOUT and STDERR, however it was cut into records.</summary>
    public string Output(string type)
    {
        lock (gate)
            return output.TryGetValue(type, out var text) ? text.ToString() : "";
    }

    public async ValueTask DisposeAsync()
    {
        await stop.CancelAsync();
        await reading;
        response.Dispose();
        stop.Dispose();
    }

    private void Add(JsonNode message)
    {
        lock (gate)
        {
            switch ((string?)message["type"])
            {
                case "OFFERS":
                    offers.AddRange(message["offers"]!["offers"]!.AsArray().Select(offer => offer!.DeepClone()));
                    break;
                case "DATA":
                    var type = (string)message["data"]!["type"]!;
                    if (!output.TryGetValue(type, out var text))
                        output[type] = text = new();
                    text.Append(Encoding.UTF8.GetString(Convert.FromBase64String((string)message["data"]!["data"]!)));
                    break;
                case "RESCIND":
                    offers.RemoveAll(offer => (string?)offer["id"]!["value"] == (string?)message["rescind"]!["offer_id"]!["value"]);
                    records.Add(message);
                    break;
                default:
                    records.Add(message);
                    break;
            }
        }
    }

    private async Task Read()
    {
        try
        {
            await using var reader = new RecordReader(await response.Content.ReadAsStreamAsync(stop.Token));
            while (await reader.Read(stop.Token) is { } record)
            {
                Add(JsonNode.Parse(System.Buffers.BuffersExtensions.ToArray(record))!);
                arrived();
            }
        }
        catch (Exception ended) when (ended is IOException or InvalidDataException or HttpRequestException or OperationCanceledException)
        {
            // The master ended it, or this side did.
            return;
        }
        finally
        {
            arrived();
        }
    }
}
