using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>meta.v1.DeleteOptions from the body of a DELETE, or from its query parameters.</summary>
internal static class DeleteBody
{
    /// <summary>Throws 400 for a body that is none, 422 for options that do not go together.</summary>
    public static async ValueTask<DeleteOptions> Read(Exchange exchange)
    {
        var query = exchange.Query;
        var parts = new Parts
        {
            Grace = query.Number("gracePeriodSeconds", long.MinValue),
            Propagation = query.Text("propagationPolicy"),
            Orphans = query.Has("orphanDependents") ? query.Flag("orphanDependents") : null,
        };
        parts.DryRun.AddRange(query.All("dryRun"));
        var body = await Bodies.ReadObject(exchange.Context);
        if (!body.IsEmpty)
        {
            try
            {
                using var document = JsonDocument.Parse(body);
                parts.Add(document.RootElement);
            }
            catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or FormatException)
            {
                throw Status.BadRequest($"the body is not a DeleteOptions object: {malformed.Message}");
            }
        }
        OptionChecks.Delete(parts.Propagation, parts.Orphans, parts.DryRun);
        return parts.Options();
    }

    /// <summary>What was given, before it is known to go together.</summary>
    private sealed class Parts
    {
        private string? _uid;
        private long? _revision;

        public long? Grace { get; set; }
        public string Propagation { get; set; } = "";
        public bool? Orphans { get; set; }
        public List<string> DryRun { get; } = [];

        public void Add(JsonElement root)
        {
            foreach (var field in root.EnumerateObject())
            {
                var value = field.Value;
                if (value.ValueKind == JsonValueKind.Null) continue;
                switch (field.Name)
                {
                    case "gracePeriodSeconds":
                        Grace = value.GetInt64();
                        break;
                    case "propagationPolicy":
                        Propagation = value.GetString()!;
                        break;
                    case "orphanDependents":
                        Orphans = value.GetBoolean();
                        break;
                    case "dryRun":
                        DryRun.AddRange(value.EnumerateArray().Select(x => x.GetString() ?? ""));
                        break;
                    case "preconditions":
                        if (value.TryGetProperty("uid", out var uid) && uid.ValueKind == JsonValueKind.String) _uid = uid.GetString();
                        if (value.TryGetProperty("resourceVersion", out var version) && version.ValueKind == JsonValueKind.String)
                        {
                            _revision = long.TryParse(version.GetString(), out var revision) ? revision : -1;
                        }
                        break;
                }
            }
        }

        public DeleteOptions Options() => new()
        {
            // Kubernetes takes what is below 0 for 1 (registry/rest, BeforeDelete).
            GracePeriodSeconds = Grace < 0 ? 1 : Grace,
            Propagation = Propagation switch
            {
                "Background" => Api.Propagation.Background,
                "Foreground" => Api.Propagation.Foreground,
                "Orphan" => Api.Propagation.Orphan,
                _ => Orphans == true ? Api.Propagation.Orphan : Api.Propagation.Default,
            },
            DryRun = DryRun.Count > 0,
            Uid = _uid,
            Revision = _revision,
        };
    }
}
