using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Either side of a connection, byte by byte: a client of the balancer, or an endpoint that the test plays.</summary>
internal sealed class Peer(Socket socket, Stream stream) : IDisposable
{
    private static readonly TimeSpan HangAfter = TimeSpan.FromSeconds(30);
    private readonly StringBuilder _read = new();

    /// <summary>By <see cref="Until"/>.</summary>
    public string Read => _read.ToString();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static async Task<Peer> To(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Stop);
        return new(socket, new NetworkStream(socket));
    }

    /// <summary>With room for little in the sockets of both sides.</summary>
    public static async Task<Peer> Narrow(int port)
    {
        const int tcp = 6, maximumSegmentSize = 2;
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = 4096 };
        socket.SetRawSocketOption(tcp, maximumSegmentSize, BitConverter.GetBytes(536));
        await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), Stop);
        return new(socket, new NetworkStream(socket));
    }

    /// <summary>Over TLS, whatever certificate is shown.</summary>
    public static async Task<Peer> To(int port, string host)
    {
        var plain = await To(port);
        var tls = new SslStream(plain.Stream);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host, RemoteCertificateValidationCallback = static (_, _, _, _) => true }, Stop);
        return new(plain.Socket, tls);
    }

    private Socket Socket { get; } = socket;
    private Stream Stream { get; } = stream;

    public Task Send(string text) => Send(Encoding.Latin1.GetBytes(text));

    /// <exception cref="IOException">The other side has reset the connection.</exception>
    public async Task Send(byte[] bytes)
    {
        await Stream.WriteAsync(bytes, Stop);
        await Stream.FlushAsync(Stop);
    }

    /// <summary>The end of this side behind it.</summary>
    public async Task SendLast(string text)
    {
        await Send(text);
        Socket.Shutdown(SocketShutdown.Send);
    }

    public (int Sent, bool Full) TrySend(byte[] bytes)
    {
        Socket.Blocking = false;
        var sent = Socket.Send(bytes, SocketFlags.None, out var error);
        return (Math.Max(0, sent), error == SocketError.WouldBlock);
    }

    /// <param name="from">Of what was read, so much is not looked at.</param>
    public async Task<string> Until(string end, int from = 0)
    {
        var buffer = new byte[65_536];
        while (Read.IndexOf(end, from, StringComparison.Ordinal) < 0)
        {
            var count = await Receive(buffer);
            Assert.True(count > 0, $"it has ended behind: {Read}");
            _read.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
        return Read;
    }

    /// <returns>0 = the end.</returns>
    public async Task<int> Receive(byte[] buffer)
    {
        using var limit = Limit();
        return await Stream.ReadAsync(buffer, limit.Token);
    }

    /// <summary>So many bytes behind the first empty line.</summary>
    public async Task Skip(long count)
    {
        var head = (await Until("\r\n\r\n")).IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
        var buffer = new byte[1024 * 1024];
        for (var left = count - (Read.Length - head); left > 0;)
        {
            var some = await Receive(buffer);
            Assert.True(some > 0, $"it has ended {left} before its end");
            left -= some;
        }
    }

    /// <summary>Until the other side closes or resets.</summary>
    public async Task<byte[]> ToEnd()
    {
        var all = new MemoryStream();
        try
        {
            await ToEnd(all);
        }
        catch (IOException)
        {
            return all.ToArray(); // a reset says as much as an end
        }
        return all.ToArray();
    }

    /// <summary>Until the other side closes.</summary>
    /// <exception cref="IOException">It has reset the connection.</exception>
    public async Task<string> ToOrderlyEnd()
    {
        var all = new MemoryStream();
        await ToEnd(all);
        return Encoding.Latin1.GetString(all.ToArray());
    }

    public void Dispose()
    {
        Stream.Dispose();
        Socket.Dispose();
    }

    /// <summary>The other side reads a reset.</summary>
    public void Reset()
    {
        Socket.LingerState = new(true, 0);
        Socket.Dispose();
    }

    private async Task ToEnd(MemoryStream all)
    {
        var buffer = new byte[65_536];
        while (await Receive(buffer) is > 0 and var count) all.Write(buffer, 0, count);
    }

    /// <summary>For whatever may hang where something is wrong.</summary>
    internal static CancellationTokenSource Limit()
    {
        var limit = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        limit.CancelAfter(HangAfter);
        return limit;
    }
}

/// <summary>An endpoint's socket, whose connections the test takes one by one.</summary>
internal sealed class Listening : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    /// <param name="backlog">One more connection than that can wait to be accepted.</param>
    public Listening(int backlog = int.MaxValue)
    {
        _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _socket.Listen(backlog);
    }

    public int Port => ((IPEndPoint)_socket.LocalEndPoint!).Port;

    public async Task<Peer> Accept()
    {
        using var limit = Peer.Limit();
        var socket = await _socket.AcceptAsync(limit.Token);
        return new(socket, new NetworkStream(socket));
    }

    public void Dispose() => _socket.Dispose();
}
