using System.Net;
using System.Net.Sockets;

namespace Declarative.Cli;

/// <summary>The default ports, all on 127.0.0.1, with the offset that lets several platforms run side by side.</summary>
internal sealed record Ports(int Offset)
{
    public int Api => 6443 + Offset;
    public int Master => 5050 + Offset;
    public int FirstAgent => 5051 + Offset;
    public int Dns => 8053 + Offset;
    public int DnsHttp => 8123 + Offset;
    public int LbHttp => 9080 + Offset;
    public int LbH2c => 9081 + Offset;
    public int LbHttps => 9443 + Offset;
    public int LbAdmin => 9090 + Offset;

    /// <summary>Every port with what it is for, as error messages and the balancer's conflict check name it.</summary>
    public IReadOnlyList<(int Port, string Use)> All(int agents) =>
    [
        (Api, "API server"), (Master, "Mesos master"),
        .. Enumerable.Range(0, agents).Select(i => (FirstAgent + i, $"Mesos agent {i}")),
        (Dns, "DNS"), (DnsHttp, "Mesos-DNS HTTP API"),
        (LbHttp, "load balancer HTTP"), (LbH2c, "load balancer h2c"), (LbHttps, "load balancer HTTPS"), (LbAdmin, "load balancer admin"),
    ];

    /// <summary>null, or which port is taken and what to do.</summary>
    public string? Taken(int agents)
    {
        foreach (var (port, use) in All(agents))
        {
            if (port is < 1 or > 65535) return $"port {port} ({use}) is out of range: choose another --port-offset";
            if (!IsFree(port, SocketType.Stream) || (port == Dns && !IsFree(port, SocketType.Dgram)))
            {
                return $"port {port} ({use}) is in use: stop what listens there, or run with another --port-offset (for example --port-offset {Offset + 100})";
            }
        }
        return null;
    }

    private static bool IsFree(int port, SocketType type)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, type, type == SocketType.Stream ? ProtocolType.Tcp : ProtocolType.Udp);
        try
        {
            // As the servers will: connections of an earlier run that linger do not count.
            if (type == SocketType.Stream) socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            if (type == SocketType.Stream) socket.Listen(1);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
