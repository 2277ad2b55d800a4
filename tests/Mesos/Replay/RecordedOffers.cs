using System.Text.Json.Nodes;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>
/// Which of our offers stand for the recorded ones. Rounds of offers come at other moments here than there, so that what was two offers may
/// be one: where there is no offer of the same resources, all that are held of the agent and the role stand for it when it is used.
/// </summary>
internal sealed class RecordedOffers(ReplayWorld world, RecordedIds ids, Comparison comparison)
{
    private const double RoundsComeWithin = 1.5;
    private readonly Dictionary<string, Known> known = new(StringComparer.Ordinal);

    /// <summary>An offer was recorded.</summary>
    public async Task Expect(ReplayStream stream, JsonNode recorded)
    {
        var offer = new Known(stream, Place(recorded));
        known[(string)recorded["id"]!["value"]!] = offer;
        var resources = Resources(recorded);
        var taken = known.Values.SelectMany(other => other.Ours).ToHashSet(StringComparer.Ordinal);
        JsonNode? found = null;
        bool Matches(JsonNode one) => PlaceOfOurs(one) == offer.Place && Resources(one) == resources && !taken.Contains(IdOf(one));
        if (await world.Until(() => (found = stream.Offers(Matches).FirstOrDefault()) is not null, patience: RoundsComeWithin))
        {
            offer.Ours = [IdOf(found!)];
            ids.Learn(recorded, found);
            comparison.Shapes("OFFERS", recorded, found);
        }
        else
        {
            comparison.Reports.Add("OFFERS: not in the same pieces");
        }
    }

    /// <summary>What an ACCEPT or DECLINE names: where an offer has been used before, the same again (it is stale on purpose).</summary>
    public async Task<JsonArray> Use(IEnumerable<string> recorded)
    {
        List<string> ours = [];
        foreach (var id in recorded)
        {
            if (!known.TryGetValue(id, out var offer))
            {
                ours.Add(id);
                continue;
            }

            if (!offer.Used)
                await Find(offer);
            offer.Used = true;
            ours.AddRange(offer.Ours);
            offer.Stream.Use(offer.Ours);
        }

        return [.. ours.Distinct(StringComparer.Ordinal).Select(id => new JsonObject { ["value"] = id })];
    }

    private async Task Find(Known offer)
    {
        bool Held(JsonNode one) => offer.Ours.Contains(IdOf(one));
        if (offer.Ours.Count > 0 && offer.Stream.Offers(Held).Count == offer.Ours.Count)
            return;
        List<JsonNode> all = [];
        bool AnyRole(JsonNode one) => PlaceOfOurs(one).Split(' ')[0] == offer.Place.Split(' ')[0];
        if (await world.Until(() => (all = offer.Stream.Offers(one => PlaceOfOurs(one) == offer.Place)).Count > 0 || (all = [.. offer.Stream.Offers(AnyRole).Take(1)]).Count > 0, patience: 5))
            offer.Ours = [.. all.Select(IdOf)];
        else
            comparison.Reports.Add("OFFERS: an offer does not come");
    }

    private static string IdOf(JsonNode offer) => (string)offer["id"]!["value"]!;

    private string Place(JsonNode recorded) => ids.Ours(PlaceOfOurs(recorded));

    private static string PlaceOfOurs(JsonNode offer) => $"{offer["agent_id"]!["value"]} {offer["allocation_info"]?["role"]} {offer["unavailability"] is null}";

    private static string Resources(JsonNode offer) =>
        string.Join('\n', offer["resources"]!.AsArray().Select(one => $"{one!["name"]} {one["scalar"]?["value"]?.GetValue<double>()} {one["ranges"]?.ToJsonString()} {one["reservations"]?.ToJsonString()} {one["disk"]?["persistence"]?.ToJsonString()}").Order(StringComparer.Ordinal));

    private sealed class Known(ReplayStream stream, string place)
    {
        public ReplayStream Stream => stream;
        public string Place => place;
        public IReadOnlyList<string> Ours { get; set; } = [];
        public bool Used { get; set; }
    }
}
