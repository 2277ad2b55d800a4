using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>
/// RFC 7386: members of the patch replace members of the target, objects are joined, null removes. One pass over the target's bytes: what the patch does
/// not name, which is most of an object, is copied as it stands.
/// </summary>
internal static class MergePatch
{
    /// <param name="target">A JSON object, no name twice in any object.</param>
    public static byte[] Apply(ReadOnlySpan<byte> target, JsonTree patch)
    {
        if (patch.Members is null) throw Status.BadRequest("a merge patch must be a JSON object");
        var reader = new Utf8JsonReader(target, new JsonReaderOptions { MaxDepth = Limits.JsonDepthMax });
        reader.Read();
        using var output = new JsonBuffer(target.Length + 1024);
        Merge(ref reader, target, patch.Members, output);
        return output.ToArray();
    }

    private const int MetOnStackMax = 64;

    // On the brace that opens the target's object; afterwards on the one that closes it.
    private static void Merge(ref Utf8JsonReader reader, ReadOnlySpan<byte> json, OrderedDictionary<string, JsonTree> patch, JsonBuffer output)
    {
        output.Raw((byte)'{');
        Span<bool> met = patch.Count <= MetOnStackMax ? stackalloc bool[patch.Count] : new bool[patch.Count];
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var at = IndexOf(patch, ref reader);
            if (at >= 0) met[at] = true;
            var change = at < 0 ? null : patch.GetAt(at).Value;
            if (change is null)
            {
                reader.Skip();
                output.Separate();
                output.Raw(json[start..(int)reader.BytesConsumed]);
                continue;
            }

            if (change.Kind != JsonValueKind.Null)
            {
                output.Separate();
                output.String(patch.GetAt(at).Key);
                output.Raw((byte)':');
            }

            reader.Read();
            if (change.Members is { } members && reader.TokenType == JsonTokenType.StartObject)
            {
                Merge(ref reader, json, members, output);
                continue;
            }

            reader.Skip();
            if (change.Kind != JsonValueKind.Null) Write(change, output);
        }

        for (var i = 0; i < patch.Count; i++)
        {
            if (met[i] || patch.GetAt(i).Value.Kind == JsonValueKind.Null) continue;
            output.Separate();
            output.String(patch.GetAt(i).Key);
            output.Raw((byte)':');
            Write(patch.GetAt(i).Value, output);
        }

        output.Raw((byte)'}');
    }

    private static int IndexOf(OrderedDictionary<string, JsonTree> patch, ref Utf8JsonReader reader)
    {
        // A string is not worth making for a few comparisons.
        if (patch.Count > 8 || reader.ValueIsEscaped) return patch.IndexOf(reader.GetString()!);
        for (var i = 0; i < patch.Count; i++)
        {
            if (reader.ValueTextEquals(patch.GetAt(i).Key)) return i;
        }

        return -1;
    }

    /// <summary>Where the target has no object there is nothing that a null could remove.</summary>
    private static void Write(JsonTree value, JsonBuffer output)
    {
        if (value.Members is null)
        {
            value.Write(output);
            return;
        }

        output.Raw((byte)'{');
        foreach (var (name, member) in value.Members)
        {
            if (member.Kind == JsonValueKind.Null) continue;
            output.Separate();
            output.String(name);
            output.Raw((byte)':');
            Write(member, output);
        }

        output.Raw((byte)'}');
    }
}
