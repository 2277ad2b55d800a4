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
        Span<byte> member = stackalloc byte[MemberBytesMax];
        var (at, length) = Member(json, revision, member);
        var result = GC.AllocateUninitializedArray<byte>(json.Length + length);
        Write(json, at, member[..length], result);
        return result;
    }

    /// <summary>The same into shared memory.</summary>
    public static ReadOnlyMemory<byte> WithRevision(ReadOnlySpan<byte> json, long revision, Slabs slabs)
    {
        Span<byte> member = stackalloc byte[MemberBytesMax];
        var (at, length) = Member(json, revision, member);
        var result = slabs.Take(json.Length + length);
        Write(json, at, member[..length], result.Span);
        return result;
    }

    private const int MemberBytesMax = 48;

    /// <returns>Where the member goes, and how long it is, with a comma where another follows.</returns>
    private static (int At, int Length) Member(ReadOnlySpan<byte> json, long revision, Span<byte> member)
    {
        var at = MetadataBrace(json) + 1;
        ReadOnlySpan<byte> name = "\"resourceVersion\":\""u8;
        name.CopyTo(member);
        Utf8Formatter.TryFormat(revision, member[name.Length..], out var digits);
        var length = name.Length + digits;
        member[length++] = (byte)'"';
        if (json[at..].TrimStart(" \t\r\n"u8)[0] != (byte)'}') member[length++] = (byte)',';
        return (at, length);
    }

    private static void Write(ReadOnlySpan<byte> json, int at, ReadOnlySpan<byte> member, Span<byte> target)
    {
        json[..at].CopyTo(target);
        member.CopyTo(target[at..]);
        json[at..].CopyTo(target[(at + member.Length)..]);
    }

    /// <summary>A copy of what <see cref="WithRevision(ReadOnlySpan{byte}, long)"/> has made, with another revision.</summary>
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
