using System.Buffers;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>
/// Memory of connections in blocks of what a TLS record holds (RFC 8446, 5.1). Kestrel encrypts each block that it has filled by itself, and sends it: by its
/// own pool's blocks, of 4 KiB, an answer would take four times as many records, system calls and wake-ups of its reader.
/// </summary>
internal sealed class RecordPool : MemoryPool<byte>
{
    private const int BlockBytes = 16 * 1024;

    public override int MaxBufferSize => BlockBytes;

    /// <param name="minBufferSize">Not above <see cref="MaxBufferSize"/>.</param>
    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, MaxBufferSize);
        return Shared.Rent(BlockBytes);
    }

    protected override void Dispose(bool disposing)
    {
        // The blocks are the process's.
    }
}
