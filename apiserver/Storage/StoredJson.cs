using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;

namespace Declarative.ApiServer.Storage;

/// <summary>The one place that puts metadata.resourceVersion into an object's bytes.</summary>
internal static class StoredJson
{
    /// <summary>A copy of <paramref name="json"/> (which has no resourceVersion) with the revision as the first member of its metadata.</summary>
    public static byte[] WithRevision(ReadOnlySpan<byte> json, long revision)
    {
        var at = MetadataBrace(json) + 1;
        Span<byte> number = stackalloc byte[20];
        Utf8Formatter.TryFormat(revision, number, out var digits);
        var comma = json[at..].TrimStart(" \t\r\n"u8)[0] == (byte)'}' ? 0 : 1;
        ReadOnlySpan<byte> name = "\"resourceVersion\":\""u8;
        var result = new byte[json.Length + name.Length + digits + 1 + comma];
        var target = result.AsSpan();
        json[..at].CopyTo(target);
        target = target[at..];
        name.CopyTo(target);
        target = target[name.Length..];
        number[..digits].CopyTo(target);
        target = target[digits..];
        target[0] = (byte)'"';
        if (comma == 1) target[1] = (byte)',';
        json[at..].CopyTo(target[(1 + comma)..]);
        return result;
    }

    /// <summary>A copy of what <see cref="WithRevision"/> has made, with another revision.</summary>
    public static byte[] AtRevision(ReadOnlySpan<byte> json, long revision)
    {
        var from = MetadataBrace(json) + 1;
        return WithRevision([.. json[..from], .. json[EndOfRevision(json, from)..]], revision);
    }

    /// <summary>What <see cref="WithRevision"/> has made is of <paramref name="json"/>, which has no resourceVersion.</summary>
    public static bool IsSame(ReadOnlySpan<byte> stored, ReadOnlySpan<byte> json)
    {
        var from = MetadataBrace(stored) + 1;
        var end = EndOfRevision(stored, from);
        return stored.Length - (end - from) == json.Length && stored[..from].SequenceEqual(json[..from]) && stored[end..].SequenceEqual(json[from..]);
    }

    // The revision stands first.
    private static int EndOfRevision(ReadOnlySpan<byte> stored, int from)
    {
        var member = stored[from..];
        var digits = "\"resourceVersion\":\""u8.Length;
        var end = digits + member[digits..].IndexOf((byte)'"') + 1;
        return from + (member[end] == (byte)',' ? end + 1 : end);
    }

    private static int MetadataBrace(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = Api.Limits.JsonDepthMax });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals("metadata"u8);
            reader.Read();
            if (found && reader.TokenType == JsonTokenType.StartObject) return (int)reader.TokenStartIndex;
            reader.Skip();
        }
        throw new InvalidOperationException("an object without metadata reached the store");
    }
}
