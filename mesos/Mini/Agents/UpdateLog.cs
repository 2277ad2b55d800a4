using Google.Protobuf;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The status updates of one task on disk: appended before they are sent, and their acknowledgements. Not synced to disk: it has to survive
/// the agent, and when the machine goes down the tasks go with it.
/// </summary>
internal sealed class UpdateLog(string file)
{
    private const byte UpdateMark = (byte)'U';
    private const byte AcknowledgedMark = (byte)'A';
    private const int UuidBytes = 16;

    public void Append(TaskStatus status)
    {
        using var stream = Open();
        using var buffer = new MemoryStream();
        buffer.WriteByte(UpdateMark);
        status.WriteDelimitedTo(buffer);
        stream.Write(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
    }

    public void Acknowledged(ByteString uuid)
    {
        using var stream = Open();
        Span<byte> entry = [AcknowledgedMark, .. uuid.Span];
        stream.Write(entry);
    }

    /// <summary>All updates, and how many of them, from the first on, are acknowledged. A torn last entry is left out.</summary>
    public (List<TaskStatus> Updates, int Acknowledged) Read()
    {
        List<TaskStatus> updates = [];
        var acknowledged = 0;
        if (!File.Exists(file))
            return (updates, acknowledged);
        using var stream = File.OpenRead(file);
        var uuid = new byte[UuidBytes];
        try
        {
            while (stream.ReadByte() is var mark and >= 0)
            {
                if (mark == UpdateMark)
                    updates.Add(TaskStatus.Parser.ParseDelimitedFrom(stream));
                else if (mark == AcknowledgedMark && stream.ReadAtLeast(uuid, UuidBytes, throwOnEndOfStream: false) == UuidBytes)
                    acknowledged++;
                else
                    break;
            }
        }
        catch (InvalidProtocolBufferException)
        {
            // The agent died while it wrote this entry: it was never sent.
            return (updates, acknowledged);
        }

        return (updates, acknowledged);
    }

    private FileStream Open() => new(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
}
