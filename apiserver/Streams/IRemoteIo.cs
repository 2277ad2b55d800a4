using System.Threading.Channels;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Streams;

/// <summary>The size of the client's terminal in characters.</summary>
internal readonly record struct TerminalSize(int Columns, int Rows);

/// <summary>What the client sends to a container: bytes for its stdin, the end of them, or the new size of the terminal.</summary>
internal readonly record struct RemoteInput(ReadOnlyMemory<byte> Data, bool IsEnd = false, TerminalSize? Size = null);

internal enum RemoteOutput : byte
{
    Stdout = 1,
    Stderr = 2,
}

/// <summary>
/// The client's end of exec and attach (Kubernetes doc "Kubernetes API Concepts", streaming; KEP-4006): standard streams, a channel for the
/// result, one for terminal sizes. Two protocols carry it: WebSocket channels and SPDY streams.
/// </summary>
internal interface IRemoteIo : IAsyncDisposable
{
    /// <summary>In order, bounded; completes when the client has gone.</summary>
    ChannelReader<RemoteInput> Input { get; }

    /// <summary>The client has gone.</summary>
    CancellationToken Gone { get; }

    ValueTask Write(RemoteOutput output, ReadOnlyMemory<byte> data, CancellationToken stop);

    /// <summary>Ends the outputs and tells the result: <c>Success</c>, or <c>Failure</c> with the exit code among its causes.</summary>
    ValueTask Finish(Status result, CancellationToken stop);
}
