using System.Buffers;
using System.Text.Json;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Http;

/// <summary>The discovery documents of a table of kinds, in the three forms that clients ask for (Kubernetes doc "Discovery API").</summary>
internal sealed class Discovery(IReadOnlyList<Kind> kinds)
{
    private static readonly string[] ReadOnly = ["get", "list"];
    private static readonly string[] AllVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
    private static readonly string[] CreateOnly = ["create"];
    private static readonly string[] OneByOne = ["create", "delete", "get", "list", "patch", "update", "watch"];

    /// <summary>API groups in the table's order, "" first.</summary>
    public IReadOnlyList<string> Groups { get; } = [.. kinds.Select(x => x.Group).Distinct()];

    /// <summary>The preferred version first: stable before beta, higher before lower.</summary>
    public IReadOnlyList<string> Versions(string group) =>
        [.. kinds.Where(x => x.Group == group).Select(x => x.Version).Distinct().Order(VersionOrder.PreferredFirst)];

    /// <summary><c>/api</c>.</summary>
    public byte[] ApiVersions() => Build(json =>
    {
        json.WriteString("kind"u8, "APIVersions"u8);
        Strings(json, "versions", ["v1"]);
        json.WriteStartArray("serverAddressByClientCIDRs"u8);
        json.WriteEndArray();
    });

    /// <summary><c>/apis</c>.</summary>
    public byte[] ApiGroupList() => Build(json =>
    {
        json.WriteString("kind"u8, "APIGroupList"u8);
        json.WriteString("apiVersion"u8, "v1"u8);
        json.WriteStartArray("groups"u8);
        foreach (var group in Groups.Where(x => x.Length > 0))
        {
            json.WriteStartObject();
            WriteGroup(json, group);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    /// <summary><c>/apis/GROUP</c>.</summary>
    public byte[] ApiGroup(string group) => Build(json =>
    {
        json.WriteString("kind"u8, "APIGroup"u8);
        json.WriteString("apiVersion"u8, "v1"u8);
        WriteGroup(json, group);
    });

    /// <summary><c>/api/v1</c> and <c>/apis/GROUP/VERSION</c>.</summary>
    public byte[] ApiResourceList(string group, string version) => Build(json =>
    {
        json.WriteString("kind"u8, "APIResourceList"u8);
        json.WriteString("apiVersion"u8, "v1"u8);
        json.WriteString("groupVersion"u8, GroupVersion(group, version));
        json.WriteStartArray("resources"u8);
        foreach (var kind in Of(group, version))
        {
            json.WriteStartObject();
            json.WriteString("name"u8, kind.Plural);
            json.WriteString("singularName"u8, kind.Singular);
            json.WriteBoolean("namespaced"u8, kind.Namespaced);
            json.WriteString("kind"u8, kind.Name);
            Strings(json, "verbs", Verbs(kind));
            if (kind.ShortNames.Count > 0) Strings(json, "shortNames", kind.ShortNames);
            if (kind.Categories.Count > 0) Strings(json, "categories", kind.Categories);
            json.WriteEndObject();
            foreach (var sub in kind.Subresources.Select(Subresource.Of).OrderBy(x => x.Name, StringComparer.Ordinal))
            {
                json.WriteStartObject();
                json.WriteString("name"u8, $"{kind.Plural}/{sub.Name}");
                json.WriteString("singularName"u8, ""u8);
                json.WriteBoolean("namespaced"u8, kind.Namespaced);
                if (sub.Group.Length > 0)
                {
                    json.WriteString("group"u8, sub.Group);
                    json.WriteString("version"u8, sub.Version);
                }
                json.WriteString("kind"u8, sub.Kind.Length > 0 ? sub.Kind : kind.Name);
                Strings(json, "verbs", sub.Verbs.Split(','));
                json.WriteEndObject();
            }
        }
        json.WriteEndArray();
    });

    /// <summary><c>/api</c> (core) or <c>/apis</c> in the aggregated form of apidiscovery.k8s.io v2 or v2beta1.</summary>
    public byte[] Aggregated(bool core, string version) => Build(json =>
    {
        json.WriteString("kind"u8, "APIGroupDiscoveryList"u8);
        json.WriteString("apiVersion"u8, "apidiscovery.k8s.io/" + version);
        json.WriteStartObject("metadata"u8);
        json.WriteEndObject();
        json.WriteStartArray("items"u8);
        foreach (var group in Groups.Where(x => x.Length == 0 == core))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata"u8);
            if (group.Length > 0) json.WriteString("name"u8, group);
            json.WriteNull("creationTimestamp"u8);
            json.WriteEndObject();
            json.WriteStartArray("versions"u8);
            foreach (var groupVersion in Versions(group))
            {
                json.WriteStartObject();
                json.WriteString("version"u8, groupVersion);
                json.WriteStartArray("resources"u8);
                foreach (var kind in Of(group, groupVersion)) WriteAggregated(json, kind);
                json.WriteEndArray();
                json.WriteString("freshness"u8, "Current"u8);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    });

    private static void WriteAggregated(Utf8JsonWriter json, Kind kind)
    {
        json.WriteStartObject();
        json.WriteString("resource"u8, kind.Plural);
        ResponseKind(json, kind.Group, kind.Version, kind.Name);
        json.WriteString("scope"u8, kind.Namespaced ? "Namespaced"u8 : "Cluster"u8);
        json.WriteString("singularResource"u8, kind.Singular);
        Strings(json, "verbs", Verbs(kind));
        if (kind.ShortNames.Count > 0) Strings(json, "shortNames", kind.ShortNames);
        if (kind.Categories.Count > 0) Strings(json, "categories", kind.Categories);
        if (kind.Subresources.Count > 0)
        {
            json.WriteStartArray("subresources"u8);
            foreach (var sub in kind.Subresources.Select(Subresource.Of).OrderBy(x => x.Name, StringComparer.Ordinal))
            {
                json.WriteStartObject();
                json.WriteString("subresource"u8, sub.Name);
                if (sub.Kind.Length > 0) ResponseKind(json, sub.Group, sub.Version, sub.Kind);
                else ResponseKind(json, kind.Group, kind.Version, kind.Name);
                Strings(json, "verbs", sub.Verbs.Split(','));
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private void WriteGroup(Utf8JsonWriter json, string group)
    {
        json.WriteString("name"u8, group);
        json.WriteStartArray("versions"u8);
        foreach (var version in Versions(group)) WriteVersion(json, group, version);
        json.WriteEndArray();
        json.WritePropertyName("preferredVersion"u8);
        WriteVersion(json, group, Versions(group)[0]);
    }

    private static void WriteVersion(Utf8JsonWriter json, string group, string version)
    {
        json.WriteStartObject();
        json.WriteString("groupVersion"u8, GroupVersion(group, version));
        json.WriteString("version"u8, version);
        json.WriteEndObject();
    }

    private static void ResponseKind(Utf8JsonWriter json, string group, string version, string kind)
    {
        json.WriteStartObject("responseKind"u8);
        json.WriteString("group"u8, group);
        json.WriteString("version"u8, version);
        json.WriteString("kind"u8, kind);
        json.WriteEndObject();
    }

    private IEnumerable<Kind> Of(string group, string version) =>
        kinds.Where(x => x.Group == group && x.Version == version).OrderBy(x => x.Plural, StringComparer.Ordinal);

    private static IReadOnlyList<string> Verbs(Kind kind) =>
        kind.Support == KindSupport.Review ? CreateOnly : kind.Group == "metrics.k8s.io" || kind.Equals(Kind.ComponentStatus) ? ReadOnly : kind.Equals(Kind.Namespace) ? OneByOne : AllVerbs;

    private static string GroupVersion(string group, string version) => group.Length == 0 ? version : $"{group}/{version}";

    private static void Strings(Utf8JsonWriter json, string name, IReadOnlyList<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values) json.WriteStringValue(value);
        json.WriteEndArray();
    }

    private static byte[] Build(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(4096);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }
}
