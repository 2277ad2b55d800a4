using System.Buffers;
using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Declarative.Lb.Proxy.Plain;
using Declarative.Lb.Routes;
using Microsoft.AspNetCore.Http;

namespace Declarative.Lb.Proxy;

/// <summary>
/// One JSON line per request and TCP connection. No query, cookie, credential or body stands in it, and of headers only the host and the user
/// agent. Lines above the rate, or that the disk does not keep up with, are left out, and a line says how many.
/// </summary>
internal sealed class AccessLog : IAsyncDisposable
{
    /// <summary>Lines that wait for the disk.</summary>
    private const int QueueMax = 10_000;

    /// <summary>Of a text that a client chooses.</summary>
    private const int TextCharsMax = 512;

    private readonly Channel<byte[]> _lines = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(QueueMax) { SingleReader = true });
    private readonly Stream _stream;
    private readonly int _perSecond;
    private readonly Task _writing;
    private readonly Lock _lock = new();
    private long _second;
    private int _inSecond;
    private long _leftOut;

    /// <param name="file"><c>-</c> = standard output.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public AccessLog(string file, int perSecond)
    {
        _stream = file == "-" ? Console.OpenStandardOutput() : new FileStream(file, FileMode.Append, FileAccess.Write, FileShare.ReadWrite);
        _perSecond = perSecond;
        _writing = Write();
    }

    public static long Now() => System.Diagnostics.Stopwatch.GetTimestamp();

    public void Request(HttpContext context, ClientConnection client, AccessNote note, long since)
    {
        if (!MayWrite()) return;
        Line(json =>
        {
            var request = context.Request;
            json.WriteString("client", client.ClientAddress);
            json.WriteString("listener", client.Listener.Key.ToString());
            json.WriteString("protocol", request.Protocol);
            json.WriteBoolean("tls", request.IsHttps);
            json.WriteString("method", Short(request.Method));
            json.WriteString("host", Short(request.Host.Value));
            json.WriteString("path", Short(note.Path));
            json.WriteNumber("status", context.Response.StatusCode);
            if (request.Headers.UserAgent is [{ } agent, ..]) json.WriteString("userAgent", Short(agent));
            End(json, note.Cluster, note.Destination, since);
            if (note.Attempts > 1) json.WriteNumber("attempts", note.Attempts);
        });
    }

    /// <summary>The same of a request that went by an event loop.</summary>
    public void Plain(ClientConnection client, PlainNote note, int status, Cluster cluster, Destination destination, int attempts, long since)
    {
        if (!MayWrite()) return;
        Line(json =>
        {
            Begin(json, client);
            json.WriteString("method", Short(note.Method));
            json.WriteString("host", Short(note.Host));
            json.WriteString("path", Short(note.Path));
            json.WriteNumber("status", status);
            if (note.UserAgent is not null) json.WriteString("userAgent", Short(note.UserAgent));
            End(json, cluster, destination, since);
            if (attempts > 1) json.WriteNumber("attempts", attempts);
        });
    }

    private static void Begin(Utf8JsonWriter json, ClientConnection client)
    {
        json.WriteString("client", client.ClientAddress);
        json.WriteString("listener", client.Listener.Key.ToString());
        json.WriteString("protocol", "HTTP/1.1");
        json.WriteBoolean("tls", client.Listener.Target == ListenerTarget.IngressTls);
    }

    /// <summary>Of a request that an event loop refused by its head: nothing else of it is known.</summary>
    public void Refused(ClientConnection client, int status)
    {
        if (!MayWrite()) return;
        Line(json =>
        {
            Begin(json, client);
            json.WriteNumber("status", status);
        });
    }

    public void Connection(System.Net.IPAddress client, OpenListener listener, Cluster cluster, Destination destination, long since)
    {
        if (!MayWrite()) return;
        Line(json =>
        {
            json.WriteString("client", client.ToString());
            json.WriteString("listener", listener.Key.ToString());
            json.WriteString("protocol", "TCP");
            End(json, cluster, destination, since);
        });
    }

    public async ValueTask DisposeAsync()
    {
        _lines.Writer.TryComplete();
        await _writing;
        long leftOut;
        lock (_lock) (leftOut, _leftOut) = (_leftOut, 0);
        if (leftOut > 0) await _stream.WriteAsync(Text(json => json.WriteNumber("leftOut", leftOut))); // the queue may have been full
        await _stream.DisposeAsync();
    }

    private static void End(Utf8JsonWriter json, Cluster? cluster, Destination? destination, long since)
    {
        if (cluster is not null)
        {
            json.WriteString("service", cluster.Service.ToString());
            json.WriteNumber("port", cluster.Number);
        }
        if (destination is not null)
        {
            json.WriteString("pod", destination.PodName);
            json.WriteString("endpoint", destination.EndPoint.ToString());
        }
        json.WriteNumber("milliseconds", Math.Round(System.Diagnostics.Stopwatch.GetElapsedTime(since).TotalMilliseconds, 3));
    }

    private static string Short(string? text) => text is null ? "" : text.Length <= TextCharsMax ? text : text[..TextCharsMax];

    private bool MayWrite()
    {
        lock (_lock)
        {
            var second = Environment.TickCount64 / 1000;
            if (second != _second)
            {
                (_second, _inSecond) = (second, 0);
                if (_leftOut > 0 && Line(json => json.WriteNumber("leftOut", _leftOut))) _leftOut = 0;
            }
            if (_inSecond++ < _perSecond) return true;
            _leftOut++;
            return false;
        }
    }

    private bool Line(Action<Utf8JsonWriter> write)
    {
        if (_lines.Writer.TryWrite(Text(write))) return true;
        lock (_lock) _leftOut++;
        return false;
    }

    private static byte[] Text(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("time", DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture));
            write(json);
            json.WriteEndObject();
        }
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private async Task Write()
    {
        while (await _lines.Reader.WaitToReadAsync())
        {
            while (_lines.Reader.TryRead(out var line)) await _stream.WriteAsync(line);
            await _stream.FlushAsync();
        }
    }
}

/// <summary>What became of a request, for the log alone; a feature of the request where there is a log.</summary>
/// <param name="path">As the client asked for it, without the query.</param>
internal sealed class AccessNote(string path)
{
    public string Path { get; } = path;
    public Cluster? Cluster { get; set; }
    public Destination? Destination { get; set; }
    public int Attempts { get; set; }
}
