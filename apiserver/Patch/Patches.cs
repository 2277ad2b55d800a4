using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>
/// The patch forms as pure functions over bytes. What they return is not judged yet: it goes through <see cref="SchemaCheck"/> like
/// any other write.
/// </summary>
internal static class Patches
{
    /// <param name="type">The type of the object, from <see cref="TypeTable"/>; only strategic merge needs it.</param>
    /// <param name="current">The object as stored.</param>
    /// <exception cref="ApiException">400 for a patch that is none, 415 for strategic merge of a kind in no table, 422 for one that does not fit the object.</exception>
    public static byte[] Apply(PatchKind kind, SchemaType type, ReadOnlyMemory<byte> current, ReadOnlyMemory<byte> patch)
    {
        var change = Read(patch);
        if (kind == PatchKind.Merge) return MergePatch.Apply(current.Span, change);
        var target = JsonTree.Parse(current);
        var result = kind switch
        {
            PatchKind.Json => JsonPatch.Apply(target, change),
            PatchKind.Strategic when type.KeepsUnknown => throw Status.UnsupportedMediaType(
                "strategic merge needs the fields of the kind, which are not known here: use application/merge-patch+json"),
            PatchKind.Strategic => StrategicMergePatch.Apply(target, change, type),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "server-side apply needs the field manager"),
        };
        if (result.Kind != JsonValueKind.Object)
        {
            throw Unfit("the patched object is no JSON object");
        }

        return result.ToBytes();
    }

    internal static JsonTree Read(ReadOnlyMemory<byte> patch)
    {
        try
        {
            return JsonTree.Parse(patch);
        }
        catch (JsonException e)
        {
            throw Status.BadRequest($"the patch is {SchemaCheck.Malformed(e)}");
        }
    }

    internal static ApiException Unfit(string message) => new(new Status(422, StatusReason.Invalid, message));
}
