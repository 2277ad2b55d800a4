using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>meta.v1.DeleteOptions from the body of a DELETE, or from its query parameters.</summary>
internal static class DeleteBody
{
    public static async ValueTask<DeleteOptions> Read(Exchange exchange)
    {
        var query = exchange.Query;
        var options = new DeleteOptions
        {
            DryRun = Writes.DryRun(query),
            GracePeriodSeconds = query.Number("gracePeriodSeconds"),
            Propagation = Policy(query.Text("propagationPolicy")),
        };
        if (options.Propagation == Propagation.Default && query.Flag("orphanDependents")) options = options with { Propagation = Propagation.Orphan };
        var body = await Bodies.ReadObject(exchange.Context);
        if (body.IsEmpty) return options;
        try
        {
            using var document = JsonDocument.Parse(body);
            return Read(document.RootElement, options);
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or FormatException)
        {
            throw Status.BadRequest($"the body is not a DeleteOptions object: {malformed.Message}");
        }
    }

    private static DeleteOptions Read(JsonElement root, DeleteOptions options)
    {
        foreach (var field in root.EnumerateObject())
        {
            var value = field.Value;
            if (value.ValueKind == JsonValueKind.Null) continue;
            switch (field.Name)
            {
                case "gracePeriodSeconds":
                    var seconds = value.GetInt64();
                    if (seconds < 0) throw Status.BadRequest($"gracePeriodSeconds: Invalid value: {seconds}: must be greater than or equal to 0");
                    options = options with { GracePeriodSeconds = seconds };
                    break;
                case "propagationPolicy":
                    options = options with { Propagation = Policy(value.GetString()!) };
                    break;
                case "orphanDependents" when value.GetBoolean() && options.Propagation == Propagation.Default:
                    options = options with { Propagation = Propagation.Orphan };
                    break;
                case "dryRun":
                    foreach (var part in value.EnumerateArray())
                    {
                        if (part.GetString() != "All") throw Status.BadRequest($"dryRun: Unsupported value: \"{part.GetString()}\": supported values: \"All\"");
                        options = options with { DryRun = true };
                    }
                    break;
                case "preconditions":
                    if (value.TryGetProperty("uid", out var uid) && uid.ValueKind == JsonValueKind.String) options = options with { Uid = uid.GetString() };
                    if (value.TryGetProperty("resourceVersion", out var version) && version.ValueKind == JsonValueKind.String)
                    {
                        options = options with { Revision = long.TryParse(version.GetString(), out var revision) ? revision : -1 };
                    }
                    break;
            }
        }
        return options;
    }

    private static Propagation Policy(string text) => text switch
    {
        "" => Propagation.Default,
        "Background" => Propagation.Background,
        "Foreground" => Propagation.Foreground,
        "Orphan" => Propagation.Orphan,
        _ => throw Status.BadRequest($"propagationPolicy: Unsupported value: \"{text}\": supported values: \"Background\", \"Foreground\", \"Orphan\""),
    };
}
