using System.Net.WebSockets;

namespace Declarative.ApiServer.Streams;

/// <summary>The expected end of every stream: the other side has gone, or breaks its protocol, or the server stops. Nobody is left to be told.</summary>
internal static class ClientGone
{
    /// <summary>Runs work whose end is no error; false where it ended so.</summary>
    public static async Task<bool> Ends(Func<Task> work)
    {
        try
        {
            await work();
            return true;
        }
        catch (Exception lost) when (lost is WebSocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            return false;
        }
    }
}
