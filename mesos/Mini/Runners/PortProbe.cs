using System.Net;
using System.Net.Sockets;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>Binds a port for a moment to see whether it is free, on all addresses: the task may listen on any.</summary>
internal static class PortProbe
{
    public static bool IsFree(int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            // SO_REUSEADDR: connections of an earlier task in TIME_WAIT do not count; a listener does. (.NET's own option of that name
            // also sets SO_REUSEPORT, with which a listener would not count either.)
            socket.SetRawSocketOption(1, 2, [1, 0, 0, 0]);
            socket.Bind(new IPEndPoint(IPAddress.Any, port));
            socket.Listen(1);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
