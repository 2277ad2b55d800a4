using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Admission.Webhooks;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// Objects of custom kinds between the version they are stored in and the one a request speaks. Strategy None changes apiVersion alone;
/// strategy Webhook asks the definition's webhook with a ConversionReview (apiextensions.k8s.io/v1).
/// </summary>
internal sealed class Conversion(CallHook hook, Random random)
{
    private static readonly TimeSpan WebhookTimeout = TimeSpan.FromSeconds(30);

    /// <summary>As the asked kind shows it; other kinds than custom ones are as they are stored.</summary>
    public async ValueTask<Stored> ToServed(Stored stored, Kind kind, CancellationToken stop)
    {
        if (kind is not CustomKind custom) return stored;
        var many = await ToServed([stored], custom, stop);
        return many[0];
    }

    public async ValueTask<IReadOnlyList<Stored>> ToServed(IReadOnlyList<Stored> stored, Kind kind, CancellationToken stop)
    {
        if (kind is not CustomKind custom) return stored;
        var served = new Stored[stored.Count];
        var foreign = new List<int>();
        for (var i = 0; i < served.Length; i++)
        {
            served[i] = stored[i] with { Key = stored[i].Key with { Kind = custom } };
            if (!IsOf(stored[i].Json.Span, custom.ApiVersion)) foreign.Add(i);
        }
        if (foreign.Count == 0) return served;
        var converted = await Convert(custom.Definition, custom.ApiVersion, [.. foreign.Select(i => stored[i].Json)], stop);
        for (var i = 0; i < foreign.Count; i++) served[foreign[i]] = served[foreign[i]] with { Json = converted[i] };
        return served;
    }

    /// <summary>Canonical bytes of a custom kind in the version that its definition stores.</summary>
    public async ValueTask<byte[]> ToStored(byte[] json, Kind kind, CancellationToken stop)
    {
        if (kind is not CustomKind custom || custom.Definition.StorageVersion == custom.Version) return json;
        var converted = await Convert(custom.Definition, $"{custom.Group}/{custom.Definition.StorageVersion}", [json], stop);
        return converted[0].ToArray();
    }

    /// <summary>An object of another version of the same definition in this one.</summary>
    public async ValueTask<ReadOnlyMemory<byte>> To(ReadOnlyMemory<byte> json, CustomKind kind, CancellationToken stop) =>
        (await Convert(kind.Definition, kind.ApiVersion, [json], stop))[0];

    private async ValueTask<List<ReadOnlyMemory<byte>>> Convert(CustomDefinition definition, string apiVersion, List<ReadOnlyMemory<byte>> objects, CancellationToken stop)
    {
        if (definition.Conversion.Text("strategy") != "Webhook") return [.. objects.Select(x => Renamed(x, apiVersion))];
        var uid = Metadata.NewUid(random);
        var review = new JsonObject
        {
            ["apiVersion"] = "apiextensions.k8s.io/v1",
            ["kind"] = "ConversionReview",
            ["request"] = new JsonObject { ["uid"] = uid, ["desiredAPIVersion"] = apiVersion, ["objects"] = new JsonArray([.. objects.Select(x => (JsonNode)Canonical.Parse(x))]) },
        };
        var target = ClientConfig.Read(definition.Conversion.Object("webhook")?.Object("clientConfig") ?? []);
        JsonObject? response;
        try
        {
            var answer = await hook(target, Encoding.UTF8.GetBytes(review.ToJsonString()), WebhookTimeout, stop);
            response = Canonical.Parse(answer).Object("response");
        }
        catch (HookException e)
        {
            throw Failed(definition, e.Message);
        }
        if (response is null || response.Text("uid") != uid) throw Failed(definition, "the answer is no ConversionReview with the uid of the request");
        if (response.Object("result")?.Text("status") != "Success") throw Failed(definition, response.Object("result")?.Text("message") ?? "no result");
        if (response.List("convertedObjects") is not { } list || list.Count != objects.Count) throw Failed(definition, $"expected {objects.Count} converted objects");
        var result = new List<ReadOnlyMemory<byte>>(list.Count);
        for (var i = 0; i < list.Count; i++) result.Add(Checked(definition, Canonical.Parse(objects[i]), list[i] as JsonObject, apiVersion));
        return result;
    }

    /// <summary>A webhook may change everything but the identity of an object.</summary>
    private static byte[] Checked(CustomDefinition definition, JsonObject before, JsonObject? after, string apiVersion)
    {
        if (after is null || after.Text("apiVersion") != apiVersion || after.Text("kind") != before.Text("kind")) throw Failed(definition, $"a converted object is not of {apiVersion} {before.Text("kind")}");
        var (was, now) = (Metadata.Of(before), Metadata.Of(after));
        foreach (var (name, value) in now.ToList())
        {
            if (name is not ("labels" or "annotations") && !JsonNode.DeepEquals(value, was[name])) throw Failed(definition, $"metadata.{name} must not be changed by a conversion");
        }
        var metadata = (JsonObject)was.DeepClone();
        foreach (var name in (ReadOnlySpan<string>)["labels", "annotations"]) Canonical.CopyMember(now, metadata, name);
        var ordered = new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = after.Text("kind"), ["metadata"] = metadata };
        foreach (var (name, value) in after)
        {
            if (name is not ("apiVersion" or "kind" or "metadata")) ordered[name] = value?.DeepClone();
        }
        return JsonSerializer.SerializeToUtf8Bytes(ordered, Text);
    }

    private static readonly JsonSerializerOptions Text = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = Limits.JsonDepthMax };

    private static ApiException Failed(CustomDefinition definition, string why) => Status.Internal($"conversion webhook for {definition.Name} failed: {why}");

    // Stored bytes begin with apiVersion (Canonical).
    private static bool IsOf(ReadOnlySpan<byte> json, string apiVersion)
    {
        var reader = new Utf8JsonReader(json);
        return reader.Read() && reader.Read() && reader.ValueTextEquals("apiVersion"u8) && reader.Read() && reader.ValueTextEquals(apiVersion);
    }

    private static ReadOnlyMemory<byte> Renamed(ReadOnlyMemory<byte> json, string apiVersion)
    {
        var reader = new Utf8JsonReader(json.Span);
        reader.Read();
        reader.Read();
        reader.Read();
        var rest = json[(int)reader.BytesConsumed..];
        var head = Encoding.UTF8.GetBytes($"{{\"apiVersion\":\"{apiVersion}\"");
        var renamed = new byte[head.Length + rest.Length];
        head.CopyTo(renamed, 0);
        rest.CopyTo(renamed.AsMemory(head.Length));
        return renamed;
    }
}
