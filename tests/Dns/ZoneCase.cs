using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Dns.Zones;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Declarative.Tests.Dns;

/// <summary>Zones out of YAML documents, as the API server would store them.</summary>
internal sealed class ZoneCase
{
    public ZoneContents Contents { get; } = NewContents();
    public ZoneFeed Feed { get; }
    private long _revision;

    public ZoneCase(ZoneNames? names = null)
    {
        Feed = new ZoneFeed(Contents, names ?? ZoneNames.Default);
        Contents.Put("cluster", ZoneBuilder.OfCluster(ZoneNames.Default));
    }

    public static ZoneContents NewContents() =>
        new(ZoneAuthority.All(ZoneNames.Default), serial: 1);

    public static ZoneCase Of(string yaml)
    {
        var zones = new ZoneCase();
        foreach (var stored in zones.Read(yaml))
            zones.Apply(stored);
        zones.Contents.Publish(1);
        return zones;
    }

    /// <summary>Applies documents and publishes; returns the withdrawals.</summary>
    public IReadOnlyList<Withdrawal> Apply(string yaml, long now = 1)
    {
        foreach (var stored in Read(yaml))
            Apply(stored);
        return Contents.Publish(now);
    }

    private void Apply(Stored stored)
    {
        if (stored.Key.Kind.Equals(Kind.Pod))
            Feed.Apply(stored.Key, Pod.Read(stored.Json));
        else if (stored.Key.Kind.Equals(Kind.Service))
            Feed.Apply(stored.Key, Service.Read(stored.Json));
        else
            Feed.Apply(stored.Key, EndpointSlice.Read(stored.Json));
    }

    public IEnumerable<Stored> Read(string yaml)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(yaml));
        foreach (var document in stream.Documents)
        {
            if (ToJson(document.RootNode) is not JsonObject json)
                continue;
            var kind = Kind.FindByName((string)json["apiVersion"]!, (string)json["kind"]!)!;
            var meta = json["metadata"]!;
            var key = ResourceKey.Of(kind, (string?)meta["namespace"] ?? "default", (string)meta["name"]!);
            meta["namespace"] = key.Namespace;
            meta["uid"] ??= $"uid-{key.Name}";
            yield return new Stored(key, (string)meta["uid"]!, ++_revision, System.Text.Encoding.UTF8.GetBytes(json.ToJsonString()));
        }
    }

    private static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMappingNode map => new JsonObject(map.Children.Select(c => KeyValuePair.Create(((YamlScalarNode)c.Key).Value!, ToJson(c.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Children.Select(ToJson)]),
        YamlScalarNode { Style: not ScalarStyle.Plain } text => JsonValue.Create(text.Value),
        YamlScalarNode { Value: "true" or "false" } flag => JsonValue.Create(flag.Value == "true"),
        YamlScalarNode { Value: "null" or "~" or "" } => null,
        YamlScalarNode plain when long.TryParse(plain.Value, out var number) => JsonValue.Create(number),
        YamlScalarNode plain => JsonValue.Create(plain.Value),
        _ => throw new InvalidOperationException(node.NodeType.ToString()),
    };
}
