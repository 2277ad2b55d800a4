using System.Text.Json;
using System.Text.Json.Serialization;

namespace Declarative.Api.Kinds;

/// <summary>
/// Reads a part that many objects have in the same bytes, as all pods of a workload have their containers and labels: what was made of these
/// bytes a moment ago is used again. Views never change, so they may share it. A part whose bytes were not seen lately is read as ever.
/// </summary>
/// <param name="plain">Reads the part itself.</param>
internal sealed class Repeated<T>(JsonSerializerOptions plain) : JsonConverter<T> where T : class
{
    /// <summary>Longer parts are rarely repeated and cost much to compare and keep.</summary>
    private const int BytesMax = 4 * 1024;

    /// <summary>A part takes the place of one with which it shares the slot. A power of two.</summary>
    private const int Slots = 256;

    private sealed record Part(byte[] Bytes, T? Value);

    private readonly Part?[] _parts = new Part?[Slots];

    public override T? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        var bytes = ViewJson.Current.Span[start..(int)reader.BytesConsumed];
        if (bytes.Length > BytesMax) return JsonSerializer.Deserialize<T>(bytes, plain);
        var hash = new HashCode();
        hash.AddBytes(bytes);
        ref var slot = ref _parts[hash.ToHashCode() & (Slots - 1)];
        if (Volatile.Read(ref slot) is { } known && bytes.SequenceEqual(known.Bytes)) return known.Value;
        var value = JsonSerializer.Deserialize<T>(bytes, plain);
        Volatile.Write(ref slot, new(bytes.ToArray(), value));
        return value;
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => throw new NotSupportedException("views are not written");
}
