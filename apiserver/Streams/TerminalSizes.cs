using System.Buffers;
using System.Text.Json;

namespace Declarative.ApiServer.Streams;

/// <summary>Terminal sizes as clients of Kubernetes send them: JSON objects <c>{"Width":80,"Height":24}</c>, one after the other.</summary>
internal static class TerminalSizes
{
    /// <summary>The last size in the bytes; what follows it without being whole stays unread. null where there is none. Throws <see cref="IOException"/>.</summary>
    public static TerminalSize? Last(ReadOnlySequence<byte> bytes, out SequencePosition read)
    {
        read = bytes.Start;
        TerminalSize? last = null;
        try
        {
            while (true)
            {
                var json = new Utf8JsonReader(bytes.Slice(read), isFinalBlock: false, state: new(new() { AllowMultipleValues = true }));
                if (!JsonDocument.TryParseValue(ref json, out var document)) return last;
                using (document)
                {
                    read = json.Position;
                    last = new(Number(document.RootElement, "Width"), Number(document.RootElement, "Height"));
                }
            }
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or FormatException)
        {
            throw new IOException("the size of a terminal is written {\"Width\":80,\"Height\":24}", malformed);
        }
    }

    private static int Number(JsonElement size, string name) => size.TryGetProperty(name, out var value) ? value.GetUInt16() : 0;
}
