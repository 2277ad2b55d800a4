using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Declarative.Api.Kinds;
using Declarative.ApiServer.CustomResources;

namespace Declarative.ApiServer.OpenApi;

/// <summary>The OpenAPI documents of one state of the table of kinds: those of built-in kinds, and of the kinds that definitions make.</summary>
internal sealed class CustomOpenApi
{
    private readonly IReadOnlyList<Kind> _kinds;
    private readonly List<CustomKind> _custom;
    private readonly ConcurrentDictionary<(string Group, string Version), OpenApiDocument> _documents = new();
    private readonly Lazy<OpenApiDocument> _index;
    private readonly Lazy<OpenApiDocument> _v2;
    private readonly Lazy<OpenApiDocument> _v2Protobuf;

    public CustomOpenApi(IReadOnlyList<Kind> kinds)
    {
        _kinds = kinds;
        _custom = [.. kinds.OfType<CustomKind>()];
        _index = new(() => _custom.Count == 0 ? OpenApiV3.Index() : OpenApiV3.MakeIndex(kinds, HashOf, Hash("v3", _custom)));
        _v2 = new(() => _custom.Count == 0 ? OpenApiV2.Json() : OpenApiV2.Make(kinds, Hash("v2", _custom)));
        _v2Protobuf = new(() => _custom.Count == 0 ? OpenApiV2.Protobuf() : new(OpenApiV2Protobuf.Encode(_v2.Value.Bytes), Hash("v2.pb", _custom)));
    }

    public OpenApiDocument Index() => _index.Value;

    public OpenApiDocument V2() => _v2.Value;

    public OpenApiDocument V2Protobuf() => _v2Protobuf.Value;

    /// <summary>null where nothing is served.</summary>
    public OpenApiDocument? Document(string group, string version)
    {
        if (Of(group, version).Count == 0) return OpenApiV3.Document(group, version);
        return _documents.GetOrAdd((group, version), _ => OpenApiV3.Make(version, [.. _kinds.Where(x => x.Group == group && x.Version == version)], HashOf(group, version)));
    }

    private List<CustomKind> Of(string group, string version) => [.. _custom.Where(x => x.Group == group && x.Version == version)];

    private string HashOf(string group, string version) =>
        Of(group, version) is { Count: > 0 } custom ? Hash(OpenApiV3.PathOf(group, version), custom) : OpenApiDocument.HashOf("v3/" + OpenApiV3.PathOf(group, version));

    // A revision of the store names the content of a definition.
    private static string Hash(string name, List<CustomKind> kinds) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(
        OpenApiDocument.HashOf(name) + string.Join('\n', kinds.Select(x => $"{x.Definition.Name} {Registry.Metadata.Uid(x.Definition.Json)} {x.Definition.Revision}").Distinct()))));
}
