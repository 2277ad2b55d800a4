using System.Buffers;
using System.Buffers.Text;
using Google.Protobuf;

namespace Declarative.Mesos.Protocol;

/// <summary>Writes RecordIO: <c>LENGTH "\n" BYTES</c>.</summary>
public static class RecordWriter
{
    public static void Write(IBufferWriter<byte> buffer, ReadOnlySpan<byte> record)
    {
        WriteHeader(buffer, record.Length);
        buffer.Write(record);
    }

    /// <summary>One message as a record, in protobuf or JSON.</summary>
    public static void Write(IBufferWriter<byte> buffer, IMessage message, bool json)
    {
        if (json)
        {
            Write(buffer, MesosJson.Write(message));
            return;
        }

        WriteHeader(buffer, message.CalculateSize());
        message.WriteTo(buffer);
    }

    private static void WriteHeader(IBufferWriter<byte> buffer, int length)
    {
        var header = buffer.GetSpan(Limits.RecordHeaderBytesMax + 1);
        Utf8Formatter.TryFormat(length, header, out var digits);
        header[digits] = (byte)'\n';
        buffer.Advance(digits + 1);
    }
}
