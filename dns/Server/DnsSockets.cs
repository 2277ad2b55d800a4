using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>The UDP threads and the TCP listener of one address.</summary>
internal sealed class DnsSockets : IDisposable
{
    private const int SocketLevel = 1; // SOL_SOCKET
    private const int ReusePort = 15; // SO_REUSEPORT
    private const int PacketInfo = 8; // IP_PKTINFO
    private const int PacketInfo6 = 49; // IPV6_RECVPKTINFO
    private static readonly byte[] On = BitConverter.GetBytes(1);
    private const int AttemptsForOnePort = 20;

    private readonly List<Socket> _udp = [];
    private readonly List<UdpLoop> _loops = [];

    private DnsSockets(Socket tcp) => Tcp = tcp;

    public Socket Tcp { get; }
    public IPEndPoint Address => (IPEndPoint)Tcp.LocalEndPoint!;
    public IReadOnlyList<UdpLoop> Loops => _loops;

    /// <summary>Binds one TCP and several UDP sockets to the same port.</summary>
    /// <exception cref="SocketException">The address cannot be bound.</exception>
    public static DnsSockets Bind(IPEndPoint address, int udpThreads)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return TryBind(address, LinuxBatch.IsSupported ? udpThreads : 1);
            }
            catch (SocketException) when (address.Port == 0 && attempt < AttemptsForOnePort)
            {
                continue; // the port that TCP was given is taken for UDP: another one
            }
        }
    }

    /// <summary>All addresses of this machine: then each answer must leave from the one that was asked.</summary>
    public static bool IsWildcard(IPEndPoint address) => address.Address.Equals(IPAddress.Any) || address.Address.Equals(IPAddress.IPv6Any);

    /// <summary>Starts answering UDP; TCP is accepted by <see cref="TcpListeners"/>.</summary>
    public void Start(DnsZones zones, ServerParts parts, ILogger logger)
    {
        foreach (var socket in _udp)
            _loops.Add(new UdpLoop(socket, zones, parts, logger, LinuxBatch.IsSupported));
        _udp.Clear();
    }

    public void Dispose()
    {
        foreach (var loop in _loops)
            loop.Stop();
        foreach (var loop in _loops)
            loop.Dispose();
        foreach (var socket in _udp)
            socket.Dispose();
        Tcp.Dispose();
    }

    private static DnsSockets TryBind(IPEndPoint address, int udpThreads)
    {
        var sockets = new DnsSockets(new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp));
        try
        {
            sockets.Tcp.Bind(address);
            sockets.Tcp.Listen(128);
            var bound = sockets.Address;
            // Sockets that share a port share it with any process of this user: one that does not share tells whether somebody has it.
            using (var probe = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp))
                probe.Bind(bound);
            for (var i = 0; i < udpThreads; i++)
            {
                var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
                sockets._udp.Add(socket);
                if (LinuxBatch.IsSupported)
                {
                    socket.SetRawSocketOption(SocketLevel, ReusePort, On);
                    if (IsWildcard(bound))
                        AskForDestination(socket);
                }
                socket.Bind(bound);
            }
            return sockets;
        }
        catch
        {
            sockets.Dispose();
            throw;
        }
    }

    private static void AskForDestination(Socket socket)
    {
        if (socket.AddressFamily == AddressFamily.InterNetwork)
            socket.SetRawSocketOption((int)SocketOptionLevel.IP, PacketInfo, On);
        else
            socket.SetRawSocketOption((int)SocketOptionLevel.IPv6, PacketInfo6, On);
    }
}
