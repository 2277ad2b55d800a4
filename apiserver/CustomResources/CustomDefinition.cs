using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>A stored CustomResourceDefinition, read for serving.</summary>
internal sealed class CustomDefinition
{
    public const string CleanupFinalizer = "customresourcecleanup.apiextensions.k8s.io";

    private CustomDefinition(JsonObject json, long revision)
    {
        var spec = json.Object("spec") ?? [];
        Json = json;
        Revision = revision;
        Name = Metadata.Name(json);
        Group = spec.Text("group");
        Names = spec.Object("names") ?? [];
        Namespaced = spec.Text("scope") == "Namespaced";
        Conversion = spec.Object("conversion") ?? [];
        Stored = Kind.Stored(Group, Names.Text("plural"));
        IsTerminating = Metadata.IsDeleting(json);
        IsEstablished = DefinitionStatus.Is(json, "Established");
        List<JsonObject> versions = [.. spec.List("versions")?.OfType<JsonObject>() ?? []];
        StorageVersion = versions.Find(x => x.Flag("storage"))?.Text("name") ?? "";
        Versions = [.. versions.Where(x => x.Flag("served")).Select(x => new CustomKind(this, x))];
    }

    public JsonObject Json { get; }
    public long Revision { get; }
    public string Name { get; }
    public string Group { get; }
    public JsonObject Names { get; }
    public bool Namespaced { get; }
    public JsonObject Conversion { get; }

    /// <summary>The kind in the keys of its objects.</summary>
    public Kind Stored { get; }
    public bool IsTerminating { get; }
    public bool IsEstablished { get; }

    /// <summary>The apiVersion's version that objects are written to the store in.</summary>
    public string StorageVersion { get; }

    /// <summary>The served versions in the order of the definition.</summary>
    public IReadOnlyList<CustomKind> Versions { get; }

    /// <exception cref="ArgumentException">A schema that the rules for definitions would have refused.</exception>
    public static CustomDefinition Read(Stored stored) => new(Canonical.Parse(stored.Json), stored.Revision);
}
