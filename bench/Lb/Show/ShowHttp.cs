using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Bench.Lb.Show;

/// <summary>HTTP/1.1 on a bare socket, from the client's side.</summary>
internal static class ShowHttp
{
    public static async Task<Socket> Connect(int port, CancellationToken stop)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), stop);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public static async Task Send(Socket socket, byte[] bytes, CancellationToken stop)
    {
        for (var sent = 0; sent < bytes.Length;) sent += await socket.SendAsync(bytes.AsMemory(sent), stop);
    }

    /// <returns>The head of the answer.</returns>
    public static async Task<string> Expect(HeadReader reader, int status, CancellationToken stop) => await Expected(await reader.Read(stop) ?? throw new InvalidDataException("cut before an answer"), reader, status, stop);

    public static async Task<string> Expected(string head, HeadReader reader, int status, CancellationToken stop)
    {
        if (head.StartsWith(string.Create(CultureInfo.InvariantCulture, $"HTTP/1.1 {status} "), StringComparison.Ordinal)) return head;
        var text = Length(head) is { } length ? await reader.Take(Math.Min(length, 200), stop) : null;
        throw new InvalidDataException($"answered {head[..head.IndexOf('\r', StringComparison.Ordinal)]}: {(text is { } said ? Encoding.Latin1.GetString(said.Span).TrimEnd() : "")}");
    }

    /// <summary>null = the head tells none.</summary>
    public static int? Length(string head)
    {
        var at = head.IndexOf("\r\nContent-Length: ", StringComparison.OrdinalIgnoreCase);
        if (at < 0) return null;
        at += "\r\nContent-Length: ".Length;
        return int.Parse(head.AsSpan(at, head.IndexOf('\r', at) - at), CultureInfo.InvariantCulture);
    }
}
