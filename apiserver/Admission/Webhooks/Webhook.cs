using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Webhooks;

/// <summary>One webhook of a stored configuration, read for calling.</summary>
internal sealed class Webhook
{
    private const int DefaultSeconds = 10;

    private Webhook(string configuration, JsonObject json)
    {
        Configuration = configuration;
        Name = json.Text("name");
        Target = ClientConfig.Read(json.Object("clientConfig") ?? []);
        Match = RequestMatch.Read(json, "rules");
        var causes = new List<StatusCause>();
        Conditions = MatchConditions.Read(json.List("matchConditions"), MatchConditions.Types(), "matchConditions", causes);
        Fails = json.Text("failurePolicy") != "Ignore";
        HasSideEffects = json.Text("sideEffects") is not ("None" or "NoneOnDryRun");
        Timeout = TimeSpan.FromSeconds(json.Number("timeoutSeconds") ?? DefaultSeconds);
        Reinvokes = json.Text("reinvocationPolicy") == "IfNeeded";
    }

    /// <summary>The name of the object that it stands in.</summary>
    public string Configuration { get; }
    public string Name { get; }
    public HookTarget Target { get; }
    public RequestMatch Match { get; }
    public MatchConditions Conditions { get; }

    /// <summary>A webhook that can not be asked refuses the request; else it is passed over.</summary>
    public bool Fails { get; }
    public bool HasSideEffects { get; }
    public TimeSpan Timeout { get; }

    /// <summary>Called once more where the object was changed after it.</summary>
    public bool Reinvokes { get; }

    public static IEnumerable<Webhook> Read(JsonObject configuration) => configuration.List("webhooks")?.OfType<JsonObject>().Select(x => new Webhook(Metadata.Name(configuration), x)) ?? [];
}

/// <summary>The webhooks of all stored configurations of a kind in the order of their calls: by the configuration's name, then as it lists them.</summary>
internal sealed class WebhookTable(RevisionLog log, Kind kind)
{
    private readonly Lock _gate = new();
    private ObjectSet? _seen;
    private IReadOnlyList<Webhook> _webhooks = [];

    public IReadOnlyList<Webhook> All
    {
        get
        {
            var (objects, _) = log.Snapshot(kind);
            lock (_gate)
            {
                if (!ReferenceEquals(objects, _seen))
                {
                    _webhooks = [.. objects.SelectMany(x => Webhook.Read(Canonical.Parse(x.Value.Stored.Json)))];
                    _seen = objects;
                }
                return _webhooks;
            }
        }
    }
}
