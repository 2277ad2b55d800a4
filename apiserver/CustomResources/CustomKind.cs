using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Tables;

namespace Declarative.ApiServer.CustomResources;

/// <summary>One served version of a CustomResourceDefinition, as a kind like any other.</summary>
internal sealed class CustomKind : Kind
{
    private readonly Lazy<SchemaType> _type;
    private readonly Lazy<Printer> _printer;

    [SetsRequiredMembers]
    public CustomKind(CustomDefinition definition, JsonObject version)
    {
        var names = definition.Names;
        Definition = definition;
        Group = definition.Group;
        Version = version.Text("name");
        Name = names.Text("kind");
        Plural = names.Text("plural");
        Singular = names.Text("singular") is { Length: > 0 } singular ? singular : Name.ToLowerInvariant();
        ListName = names.Text("listKind") is { Length: > 0 } list ? list : Name + "List";
        ShortNames = Texts(names, "shortNames");
        Categories = Texts(names, "categories");
        Namespaced = definition.Namespaced;
        Schema = Structural.Read(version.Object("schema")?.Object("openAPIV3Schema") ?? []);
        var subresources = version.Object("subresources");
        HasStatus = subresources?.Object("status") is not null;
        Scale = subresources?.Object("scale") is { } scale ? new(scale.Text("specReplicasPath"), scale.Text("statusReplicasPath"), scale.Text("labelSelectorPath")) : null;
        Subresources = [.. HasStatus ? ["status"] : (string[])[], .. Scale is null ? [] : (string[])["scale"]];
        Selectable = [.. version.List("selectableFields")?.OfType<JsonObject>().Select(x => x.Text("jsonPath").TrimStart('.')) ?? []];
        Deprecation = !version.Flag("deprecated") ? null
            : version.Text("deprecationWarning") is { Length: > 0 } warning ? warning : $"{ApiVersion} {Name} is deprecated";
        Strategy = new CustomStrategy(this);
        Rules = CustomRules.Compile(Schema);
        _type = new(() => StructuralTypes.Root(this));
        _printer = new(() => CustomColumns.Of(version));
    }

    public CustomDefinition Definition { get; }
    public Structural Schema { get; }
    public bool HasStatus { get; }
    public ScalePaths? Scale { get; }
    public IReadOnlyList<string> Selectable { get; }

    public override string? Deprecation { get; }
    public CustomStrategy Strategy { get; }
    public CustomRules Rules { get; }

    /// <summary>For server-side apply and the ownership of fields.</summary>
    public SchemaType Type => _type.Value;
    public Printer Printer => _printer.Value;

    /// <summary>The fields that server-side apply knows of any kind.</summary>
    public static SchemaType TypeOf(Kind kind) => kind is CustomKind custom ? custom.Type : TypeTable.Kind(kind.Group, kind.Version, kind.Name);

    /// <summary>The kind in the keys of the store.</summary>
    public static Kind StoredAs(Kind kind) => kind is CustomKind custom ? custom.Definition.Stored : kind;

    public static ResourceKey StoredAs(ResourceKey key) => key.Kind is CustomKind custom ? key with { Kind = custom.Definition.Stored } : key;

    private static List<string> Texts(JsonObject names, string name) =>
        [.. names.List(name)?.OfType<JsonValue>().Select(x => x.GetValue<string>()) ?? []];
}

/// <summary>Where a custom kind keeps what Scale shows.</summary>
/// <param name="Selector">"" where there is none.</param>
internal sealed record ScalePaths(string SpecReplicas, string StatusReplicas, string Selector);
