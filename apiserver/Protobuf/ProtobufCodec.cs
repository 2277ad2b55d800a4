using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Protobuf;

/// <summary>
/// <c>application/vnd.kubernetes.protobuf</c>: the bytes <c>6b 38 73 00</c> ("k8s" and 0), then runtime.Unknown
/// { typeMeta = 1 { apiVersion = 1, kind = 2 }, raw = 2, contentEncoding = 3, contentType = 4 }, whose raw is the object's message
/// by the field numbers of the table.
/// </summary>
internal static class ProtobufCodec
{
    public const string MediaType = "application/vnd.kubernetes.protobuf";

    private static ReadOnlySpan<byte> Prefix => "k8s\0"u8;

    /// <summary>A request body as JSON, with apiVersion and kind, not yet checked by <see cref="SchemaCheck"/>.</summary>
    /// <exception cref="ApiException">400: no such body; 415: a kind that is in no table.</exception>
    public static byte[] ToJson(ReadOnlySpan<byte> body)
    {
        if (!body.StartsWith(Prefix))
        {
            throw Status.BadRequest("the body is no Kubernetes protobuf: it does not begin with the bytes 6b 38 73 00");
        }

        using var output = new JsonBuffer(body.Length * 2);
        try
        {
            Envelope(body[Prefix.Length..], output);
        }
        catch (FormatException e)
        {
            throw Status.BadRequest($"the body is no valid protobuf: {e.Message}");
        }

        return output.ToArray();
    }

    /// <summary>An object as it is stored, or a list of such objects, in protobuf; null for a kind that has no protobuf form.</summary>
    public static byte[]? FromJson(ReadOnlyMemory<byte> json)
    {
        var tree = JsonTree.Parse(json);
        var (apiVersion, kind) = (Text(tree, "apiVersion"), Text(tree, "kind"));
        var type = TypeOf(apiVersion, kind);
        var isList = type is null && kind.EndsWith("List", StringComparison.Ordinal);
        type ??= isList ? TypeOf(apiVersion, kind[..^4]) : null;
        if (type is null)
        {
            return null;
        }

        var to = new ProtobufWriter();
        to.Append(Prefix);
        var typeMeta = to.Begin(1);
        to.Text(1, apiVersion);
        to.Text(2, kind);
        to.End(typeMeta);
        var raw = to.Begin(2);
        if (isList)
        {
            ProtobufEncoder.List(to, tree, type);
        }
        else
        {
            ProtobufEncoder.Message(to, tree, type);
        }

        to.End(raw);
        to.Text(3, "");
        to.Text(4, "");
        return to.Written.ToArray();
    }

    /// <summary>Decodes what follows the prefix.</summary>
    internal static void Envelope(ReadOnlySpan<byte> unknown, JsonBuffer output)
    {
        var (apiVersion, kind) = ("", "");
        ReadOnlySpan<byte> raw = default;
        var reader = new ProtobufReader(unknown);
        while (reader.Read())
        {
            if (reader is { Field: 1, WireType: 2 })
            {
                var typeMeta = new ProtobufReader(reader.Bytes);
                while (typeMeta.Read())
                {
                    var text = typeMeta.WireType == 2 ? System.Text.Encoding.UTF8.GetString(typeMeta.Bytes) : "";
                    (apiVersion, kind) = typeMeta.Field == 1 ? (text, kind) : (apiVersion, typeMeta.Field == 2 ? text : kind);
                }
            }
            else if (reader is { Field: 2, WireType: 2 })
            {
                raw = reader.Bytes;
            }
        }

        var type = TypeOf(apiVersion, kind)
            ?? throw Status.UnsupportedMediaType($"{apiVersion} {kind} has no protobuf form here: send application/json");
        ProtobufDecoder.Object(raw, type, apiVersion, kind, output);
    }

    /// <summary>False for a kind whose objects have no protobuf form, such as every custom one.</summary>
    public static bool Has(Kind kind) => TypeOf(kind.ApiVersion, kind.Name) is not null;

    private static SchemaType? TypeOf(string apiVersion, string kind)
    {
        var slash = apiVersion.IndexOf('/', StringComparison.Ordinal);
        var (group, version) = slash < 0 ? ("", apiVersion) : (apiVersion[..slash], apiVersion[(slash + 1)..]);
        var type = TypeTable.Type(TypeNames.Of(group, version, kind));
        // Options and Status are of every group and version.
        type ??= TypeTable.Type("meta.v1." + kind);
        return type is { IsKind: true } ? type : null;
    }

    private static string Text(JsonTree tree, string name) => tree[name] is { Kind: JsonValueKind.String } text ? text.Text() : "";
}
