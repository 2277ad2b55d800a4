using System.Buffers;
using System.IO.Pipelines;
using System.Threading.Channels;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Streams.Spdy;

namespace Declarative.ApiServer.Streams;

/// <summary>
/// Exec and attach over SPDY/3.1: the client opens one stream for each of error, stdin, stdout, stderr and resize, told apart by the header
/// <c>streamType</c>.
/// </summary>
internal sealed class SpdyIo : IRemoteIo
{
    private readonly SpdyConnection _connection;
    private readonly SpdyStream _result;
    private readonly IReadOnlyDictionary<string, SpdyStream> _streams;
    private readonly Channel<RemoteInput> _input = Channel.CreateBounded<RemoteInput>(Limits.RemoteInputsBuffered);
    private readonly bool _asJson;
    private readonly Task _receiving;

    private SpdyIo(SpdyConnection connection, IReadOnlyDictionary<string, SpdyStream> streams, bool asJson)
    {
        _connection = connection;
        _streams = streams;
        _asJson = asJson;
        _result = streams["error"];
        _receiving = Receive();
    }

    public ChannelReader<RemoteInput> Input => _input.Reader;
    public CancellationToken Gone => _connection.Ended;

    /// <summary>Waits for the streams that the request asks for.</summary>
    /// <param name="asJson">The result is a Status; else, before version 4 of the protocol, the text of an error or nothing.</param>
    public static async Task<SpdyIo> Accept(SpdyConnection connection, IReadOnlySet<string> expected, bool asJson, CancellationToken stop)
    {
        var streams = new Dictionary<string, SpdyStream>();
        while (!expected.All(streams.ContainsKey))
        {
            var stream = await connection.Opened.ReadAsync(stop);
            var type = stream.Headers.GetValueOrDefault("streamType", "");
            if (!expected.Contains(type)) throw new SpdyFault($"a stream of type \"{type}\" where {string.Join(", ", expected)} were expected");
            streams[type] = stream;
        }
        return new(connection, streams, asJson);
    }

    public ValueTask Write(RemoteOutput output, ReadOnlyMemory<byte> data, CancellationToken stop) =>
        _streams.TryGetValue(output == RemoteOutput.Stdout ? "stdout" : "stderr", out var stream) ? stream.Write(data, stop) : ValueTask.CompletedTask;

    public async ValueTask Finish(Status result, CancellationToken stop)
    {
        foreach (var (type, stream) in _streams)
        {
            if (type is "stdout" or "stderr") await stream.Finish(stop);
        }
        if (_asJson) await _result.Write(result.ToJson(), stop);
        else if (!result.IsSuccess) await _result.Write(System.Text.Encoding.UTF8.GetBytes(result.Message), stop);
        await _result.Finish(stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _receiving;
    }

    private async Task Receive()
    {
        await Task.WhenAll(ClientGone.Ends(Stdin), ClientGone.Ends(Sizes));
        _input.Writer.TryComplete();
    }

    private async Task Stdin()
    {
        if (!_streams.TryGetValue("stdin", out var stream)) return;
        while (true)
        {
            var read = await stream.Input.ReadAsync(_connection.Ended);
            var data = read.Buffer.Slice(0, Math.Min(read.Buffer.Length, Limits.RemoteInputBytesMax));
            var isLast = read.IsCompleted && data.Length == read.Buffer.Length;
            if (!data.IsEmpty) await _input.Writer.WriteAsync(new(data.ToArray()), _connection.Ended);
            stream.Input.AdvanceTo(data.End);
            if (!isLast) continue;
            await _input.Writer.WriteAsync(new(default, IsEnd: true), _connection.Ended);
            return;
        }
    }

    /// <summary>A client that sends what is no size keeps the terminal that it has.</summary>
    private async Task Sizes()
    {
        if (!_streams.TryGetValue("resize", out var stream)) return;
        while (true)
        {
            var read = await stream.Input.ReadAtLeastAsync(1, _connection.Ended);
            if (TerminalSizes.Last(read.Buffer, out var end) is { } size) await _input.Writer.WriteAsync(new(default, Size: size), _connection.Ended);
            stream.Input.AdvanceTo(end, read.Buffer.End);
            if (read.IsCompleted) return;
        }
    }
}
