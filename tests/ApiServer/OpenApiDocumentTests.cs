using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.ApiServer.OpenApi;
using Xunit;

namespace Declarative.Tests.ApiServer;

public sealed class OpenApiDocumentTests
{
    public static TheoryData<string, string> GroupVersions => [.. Kind.All.Select(kind => (kind.Group, kind.Version)).Distinct().Select(x => new TheoryDataRow<string, string>(x.Group, x.Version))];

    [Theory]
    [MemberData(nameof(GroupVersions))]
    public void Every_reference_has_its_schema_and_every_kind_its_operations(string group, string version)
    {
        var document = JsonNode.Parse(OpenApiV3.Document(group, version)!.Bytes.Span)!;
        var schemas = document["components"]!["schemas"]!.AsObject();
        foreach (var reference in References(document))
        {
            Assert.True(schemas.ContainsKey(reference["#/components/schemas/".Length..]), reference);
        }

        foreach (var kind in Kind.All.Where(kind => kind.Group == group && kind.Version == version))
        {
            var verb = kind.Support == KindSupport.Review ? "post" : "patch";
            var operation = document["paths"]!.AsObject().Select(path => path.Value![verb])
                .First(x => (string?)x?["x-kubernetes-group-version-kind"]?["kind"] == kind.Name)!;
            Assert.Equal(kind.Group, (string)operation["x-kubernetes-group-version-kind"]!["group"]!);
            Assert.Contains(operation["parameters"]!.AsArray(), parameter => (string)parameter!["name"]! == "fieldValidation");
            Assert.Contains(schemas, schema => schema.Value!["x-kubernetes-group-version-kind"] is JsonArray kinds && (string)kinds[0]!["kind"]! == kind.Name && (string)kinds[0]!["group"]! == kind.Group);
        }
    }

    [Fact]
    public void The_index_names_every_group_version_with_the_hash_of_its_document()
    {
        var paths = JsonNode.Parse(OpenApiV3.Index().Bytes.Span)!["paths"]!.AsObject();
        Assert.Equal(GroupVersions.Count, paths.Count);
        Assert.Equal($"/openapi/v3/apis/apps/v1?hash={OpenApiV3.Document("apps", "v1")!.Hash}", (string)paths["apis/apps/v1"]!["serverRelativeURL"]!);
        Assert.Equal($"/openapi/v3/api/v1?hash={OpenApiV3.Document("", "v1")!.Hash}", (string)paths["api/v1"]!["serverRelativeURL"]!);
        Assert.Null(OpenApiV3.Document("apps", "v9"));
        Assert.Same(OpenApiV3.Document("apps", "v1"), OpenApiV3.Document("apps", "v1"));
    }

    [Fact]
    public void Lists_carry_what_patches_need()
    {
        var schemas = JsonNode.Parse(OpenApiV3.Document("", "v1")!.Bytes.Span)!["components"]!["schemas"]!;
        var ports = schemas["io.k8s.api.core.v1.Container"]!["properties"]!["ports"]!;
        Assert.Equal("map", (string)ports["x-kubernetes-list-type"]!);
        Assert.Equal(["containerPort", "protocol"], ports["x-kubernetes-list-map-keys"]!.AsArray().Select(x => (string)x!));
        Assert.Equal("containerPort", (string)ports["x-kubernetes-patch-merge-key"]!);
        Assert.Equal("merge", (string)ports["x-kubernetes-patch-strategy"]!);
        Assert.Equal("#/components/schemas/io.k8s.api.core.v1.ContainerPort", (string)ports["items"]!["allOf"]![0]!["$ref"]!);
    }

    [Fact]
    public void Version_2_has_every_definition_it_refers_to()
    {
        var document = JsonNode.Parse(OpenApiV2.Json().Bytes.Span)!;
        var definitions = document["definitions"]!.AsObject();
        foreach (var reference in References(document))
        {
            Assert.True(definitions.ContainsKey(reference["#/definitions/".Length..]), reference);
        }

        Assert.NotEqual(0, OpenApiV2.Protobuf().Bytes.Length);
    }

    [Theory]
    [InlineData("terminationGracePeriodSeconds", "Termination grace period seconds.")]
    [InlineData("podCIDRs", "Pod CIDRs.")]
    [InlineData("ISCSIVolumeSource", "ISCSI volume source.")]
    [InlineData("fsType", "Fs type.")]
    public void Fields_without_a_text_are_described_by_their_name(string name, string text) => Assert.Equal(text, Descriptions.Words(name));

    private static IEnumerable<string> References(JsonNode? node) => node switch
    {
        JsonObject o => o.SelectMany(member => member.Key == "$ref" && member.Value is JsonValue ? [(string)member.Value!] : References(member.Value)),
        JsonArray a => a.SelectMany(References),
        _ => [],
    };
}
