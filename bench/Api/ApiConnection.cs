using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Declarative.Bench.Api;

/// <summary>One kept HTTPS connection (HTTP/1.1) that costs the generator as little as possible: ready-made requests, one read buffer.</summary>
internal sealed class ApiConnection : IDisposable
{
    private readonly TcpClient _socket = new() { NoDelay = true };
    private readonly SslStream _stream;
    private readonly byte[] _buffer = new byte[256 * 1024];
    private int _from;
    private int _to;

    private ApiConnection(string host, int port)
    {
        _socket.Connect(host, port);
        _stream = new SslStream(_socket.GetStream(), leaveInnerStreamOpen: false);
    }

    public static ApiConnection Open(Target target)
    {
        var connection = new ApiConnection(target.Host, target.Port);
        connection._stream.AuthenticateAsClient(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ClientCertificates = [target.Certificate],
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        });
        return connection;
    }

    public static byte[] Request(string method, string path, string? body = null, string accept = "application/json", string type = "application/json", string user = "") =>
        Encoding.UTF8.GetBytes($"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n"
            + (user.Length == 0 ? "" : $"Impersonate-User: {user}\r\nImpersonate-Group: system:masters\r\n")
            + (body is null ? "" : $"Content-Type: {type}\r\nContent-Length: {Encoding.UTF8.GetByteCount(body).ToString(CultureInfo.InvariantCulture)}\r\n") + "\r\n" + body);

    /// <summary>Sends and reads the whole answer; returns its code and the length of its body.</summary>
    public (int Code, long Length) Send(byte[] request)
    {
        _stream.Write(request);
        var (code, length) = Head();
        if (length >= 0)
        {
            Skip(length);
            return (code, length);
        }
        var total = 0L;
        while (true)
        {
            var size = int.Parse(Line(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            Skip(size + 2);
            if (size == 0) return (code, total);
            total += size;
        }
    }

    private (int Code, long Length) Head()
    {
        var first = Line();
        var code = int.Parse(first.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture);
        var length = -1L;
        while (Line() is { Length: > 0 } line)
        {
            if (line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)) length = long.Parse(line.AsSpan(15).Trim(), NumberStyles.None, CultureInfo.InvariantCulture);
        }
        return (code, length);
    }

    private string Line()
    {
        while (true)
        {
            var end = _buffer.AsSpan(_from, _to - _from).IndexOf((byte)'\n');
            if (end >= 0)
            {
                var line = Encoding.ASCII.GetString(_buffer, _from, Math.Max(0, end - 1));
                _from += end + 1;
                return line;
            }
            Fill();
        }
    }

    private void Skip(long bytes)
    {
        while (bytes > 0)
        {
            if (_from == _to) Fill();
            var taken = (int)Math.Min(bytes, _to - _from);
            _from += taken;
            bytes -= taken;
        }
    }

    private void Fill()
    {
        if (_from > 0)
        {
            _buffer.AsSpan(_from, _to - _from).CopyTo(_buffer);
            _to -= _from;
            _from = 0;
        }
        var read = _stream.Read(_buffer, _to, _buffer.Length - _to);
        if (read == 0) throw new IOException("the server closed the connection");
        _to += read;
    }

    public void Dispose()
    {
        _stream.Dispose();
        _socket.Dispose();
    }
}
