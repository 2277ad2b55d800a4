using System.Threading.Channels;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>A process that callers may talk to while it runs.</summary>
internal interface IAttachable
{
    /// <summary>Its output can be listened to; false: input alone.</summary>
    bool HasOutput { get; }

    /// <summary>The output from now on; completes with the process.</summary>
    Channel<(bool IsError, byte[] Data)> Listen();

    /// <summary>The listener has gone.</summary>
    void Leave(Channel<(bool IsError, byte[] Data)> listener);

    /// <summary>No bytes are the end of the input. False when the process takes no more.</summary>
    ValueTask<bool> Write(byte[] bytes, CancellationToken stop);

    void Resize(int columns, int rows);
}
