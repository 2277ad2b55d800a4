using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Which id of ours stands for which recorded one: of agents by their ports, of everything else by the events and answers that name it.</summary>
internal sealed partial class RecordedIds
{
    private readonly Dictionary<string, string> ids = new(StringComparer.Ordinal);

    /// <summary>Finds the recorded agents by the port that offers and views name beside their id.</summary>
    /// <param name="agents">Our ids, by recorded port.</param>
    public RecordedIds(IEnumerable<Entry> entries, IReadOnlyDictionary<int, string> agents)
    {
        foreach (var text in entries.Where(entry => entry.Moment is Moment.Record or Moment.Response).Select(entry => entry.Text))
        {
            foreach (var match in OfferOfAgent().Matches(text).Concat(ViewOfAgent().Matches(text)))
                ids.TryAdd(match.Groups["id"].Value, agents[int.Parse(match.Groups["port"].Value)]);
        }
    }

    /// <summary>Ours for a recorded id; null while nothing has named it.</summary>
    public string? Known(string recorded) => ids.GetValueOrDefault(recorded);

    public void Set(string recorded, string ours) => ids[recorded] = ours;

    /// <summary>Both are the same event or answer: the ids in it are each other's.</summary>
    public void Learn(JsonNode? recorded, JsonNode? ours)
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

    /// <summary>A recorded text with our ids in it, as far as they are known.</summary>
    public string Ours(string text) => AnyId().Replace(text, match => ids.GetValueOrDefault(match.Value, match.Value));

    /// <summary>A text without what differs from one run to the next.</summary>
    public static string Comparable(string text) => Numbers().Replace(AnyId().Replace(text, "ID"), "N").TrimEnd('\n');

    public static string WithoutIds(string text) => WorkDirectory().Replace(AnyId().Replace(text, "ID"), "WORK");

    [GeneratedRegex("/var/lib/mxxx|(?:/[^/\\s\"]+)+/replay-[^/]*/a[12]")]
    private static partial Regex WorkDirectory();

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
}
