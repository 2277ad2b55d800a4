using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>Connections as clients make them that are not in step with the server: they read late, send in pieces, send ahead, go in the middle.</summary>
public sealed class TransportTests
{
    private const int Objects = 12;
    private const int TcpLevel = 6; // IPPROTO_TCP
    private const int TcpCork = 3; // TCP_CORK
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_answer_larger_than_all_buffers_comes_whole_to_who_reads_it_late()
    {
        await using var face = await Filled();
        await using var slow = await Open(face);
        await using var gone = await Open(face);
        foreach (var each in (Stream[])[slow, gone]) await each.WriteAsync(Get("/api/v1/namespaces/default/configmaps"), Stop);
        await gone.DisposeAsync(); // in the middle of its answer
        // Others are answered meanwhile.
        await using var other = await Open(face);
        for (var i = 0; i < 3; i++)
        {
            await other.WriteAsync(Get("/api/v1/namespaces/default/configmaps/m0"), Stop);
            Assert.EndsWith("}", await Answer(other), StringComparison.Ordinal);
        }
        var list = await Answer(slow);
        Assert.True(list.Length > Objects * 1024 * 1024, $"{list.Length} bytes");
        Assert.EndsWith("]}", list, StringComparison.Ordinal);
        Assert.Equal(Objects, list.Split("\"name\":\"m").Length - 1);
    }

    [Fact]
    public async Task Requests_that_were_sent_ahead_are_answered_in_order()
    {
        await using var face = await RunningFace.Start();
        await using var connection = await Open(face);
        var ahead = new List<byte>();
        for (var i = 0; i < 50; i++)
        {
            ahead.AddRange(Post("/api/v1/namespaces/default/configmaps", $$$"""{"metadata":{"name":"n{{{i}}}"}}"""));
            ahead.AddRange(Get($"/api/v1/namespaces/default/configmaps/n{i}"));
        }
        var bytes = ahead.ToArray();
        // In pieces that end anywhere.
        for (var at = 0; at < bytes.Length; at += 701) await connection.WriteAsync(bytes.AsMemory(at, Math.Min(701, bytes.Length - at)), Stop);
        var answers = new Answers(connection);
        for (var i = 0; i < 100; i++) Assert.Contains($"\"name\":\"n{i / 2}\"", await answers.Next(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_larger_than_what_is_read_ahead_arrives_whole()
    {
        await using var face = await RunningFace.Start();
        await using var connection = await Open(face);
        // Unknown fields go; of what is left the object is small.
        var body = $$$"""{"metadata":{"name":"large"},"unknown":"{{{new string('x', 2_900_000)}}}","data":{"a":"b"}}""";
        await connection.WriteAsync(Post("/api/v1/namespaces/default/configmaps", body), Stop);
        Assert.Contains("\"data\":{\"a\":\"b\"}", await Answer(connection), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_server_ends_while_clients_hold_their_connections_open()
    {
        var face = await RunningFace.Start();
        await using var idle = await Open(face);
        await using var watching = await Open(face);
        await watching.WriteAsync(Get("/api/v1/configmaps?watch=true"), Stop);
        await face.DisposeAsync();
        // Whoever waits is told.
        var buffer = new byte[64 * 1024];
        foreach (var each in (Stream[])[idle, watching])
        {
            try
            {
                while (await each.ReadAsync(buffer, Stop) > 0) { }
            }
            catch (IOException)
            {
                continue;
            }
        }
    }

    [Fact]
    public async Task An_end_that_comes_together_with_a_request_ends_the_connection()
    {
        await using var face = await RunningFace.Start();
        for (var i = 0; i < 5; i++)
        {
            using var socket = await Connect(face);
            await using var connection = await Open(face, socket);
            await connection.WriteAsync(Get("/version"), Stop);
            await Answer(connection);
            // Held back until the end goes too: one segment has both.
            socket.SetRawSocketOption(TcpLevel, TcpCork, BitConverter.GetBytes(1));
            await connection.WriteAsync(Get("/version"), Stop);
            socket.Shutdown(SocketShutdown.Send);
            var buffer = new byte[64 * 1024];
            // Long before a connection that says nothing is closed.
            using var inTime = new CancellationTokenSource(TimeSpan.FromSeconds(60), TimeProvider.System);
            while (await socket.ReceiveAsync(buffer, inTime.Token) > 0) { }
        }
    }

    [Fact]
    public async Task Who_resets_in_the_middle_of_an_answer_is_no_error_of_the_server()
    {
        var log = new Lines();
        await using (var face = await Filled(x => x with { Log = log }))
        {
            for (var i = 0; i < 5; i++)
            {
                using var socket = await Connect(face);
                await using var connection = await Open(face, socket);
                await connection.WriteAsync(Get("/api/v1/namespaces/default/configmaps"), Stop);
                await connection.ReadExactlyAsync(new byte[1000], Stop);
                socket.LingerState = new(true, 0);
                socket.Close();
            }
        }
        Assert.Empty(log.Errors);
    }

    private static async Task<RunningFace> Filled(Func<HttpOptions, HttpOptions>? change = null)
    {
        var face = await RunningFace.Start(change);
        var filler = new string('x', 1024 * 1024);
        for (var i = 0; i < Objects; i++)
        {
            await face.Admin.Create(new(Kind.ConfigMap, "default", $"m{i}"), Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"m{{{i}}}"},"data":{"a":"{{{filler}}}"}}"""), stop: Stop);
        }
        return face;
    }

    private static async Task<SslStream> Open(RunningFace face) => await Open(face, await Connect(face));

    private static async Task<Socket> Connect(RunningFace face)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveBufferSize = 64 * 1024 };
        await socket.ConnectAsync("127.0.0.1", face.Face.Port, Stop);
        return socket;
    }

    private static async Task<SslStream> Open(RunningFace face, Socket socket)
    {
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        var admin = Identity.All.First(x => x.Role == "admin");
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ClientCertificates = [X509Certificate2.CreateFromPem(face.Face.Pki.ClientCertificate(admin), face.Face.Pki.ClientKey(admin))],
            RemoteCertificateValidationCallback = (_, _, _, _) => true,
        }, Stop);
        return stream;
    }

    private static byte[] Get(string path) => Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");

    private static byte[] Post(string path, string body) =>
        Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}"));

    private static Task<string> Answer(Stream stream) => new Answers(stream).Next();

    /// <summary>Keeps errors that are logged.</summary>
    private sealed class Lines : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Errors { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("nothing but errors is kept");

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel)) Errors.Enqueue($"{formatter(state, exception)} {exception}");
        }

        public void Dispose()
        {
            // Nothing is held.
        }
    }

    /// <summary>Reads one answer after the other.</summary>
    private sealed class Answers(Stream stream)
    {
        private readonly StreamReader _reader = new(stream, Encoding.Latin1, detectEncodingFromByteOrderMarks: false, bufferSize: 16 * 1024, leaveOpen: true);

        public async Task<string> Next()
        {
            var length = 0;
            while (await _reader.ReadLineAsync(Stop) is { Length: > 0 } line)
            {
                if (line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)) length = int.Parse(line.AsSpan(15), CultureInfo.InvariantCulture);
            }
            var body = new char[length];
            Assert.Equal(length, await _reader.ReadBlockAsync(body, Stop));
            return new(body);
        }
    }
}
