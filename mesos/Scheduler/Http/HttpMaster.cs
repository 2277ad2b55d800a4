using System.Buffers;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Google.Protobuf;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;

namespace Declarative.Mesos.Scheduler.Http;

/// <summary>
/// A master over the v1 scheduler HTTP API, real or embedded. The event stream has a connection of its own (a master answers a call
/// on that connection into the stream); calls share another, and reach the master in the order in which <see cref="Call"/> was called.
/// </summary>
public sealed class HttpMaster : IMaster, IDisposable, IAsyncDisposable
{
    private const string StreamIdHeader = "Mesos-Stream-Id";
    private const string Path = "/api/v1/scheduler";
    private const int RedirectsMax = 5;

    private readonly HttpMasterOptions _options;
    private readonly TimeProvider _time;
    private readonly HttpClient _streams;
    private readonly HttpClient? _calls;
    private readonly string _mediaType;
    private readonly Lock _gate = new();
    private readonly List<Task> _connections = [];
    private (Uri To, CallPipeline Calls)? _pipeline;
    private volatile Subscription? _subscription;

    public HttpMaster(HttpMasterOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _streams = new(options.Access.Handler(int.MaxValue)) { Timeout = Timeout.InfiniteTimeSpan };
        if (options.Access.Account is not null)
            _calls = new(options.Access.Handler(16)) { Timeout = Timeout.InfiniteTimeSpan };
        _mediaType = options.Json ? "application/json" : "application/x-protobuf";
    }

    public async IAsyncEnumerable<Event> Subscribe(
        Call.Types.Subscribe subscribe,
        FrameworkID? id,
        [EnumeratorCancellation] CancellationToken stop
    )
    {
        var call = new Call { Type = CallType.Subscribe, Subscribe = subscribe.Clone() };
        if (id is not null)
            call.FrameworkId = call.Subscribe.FrameworkInfo.Id = id.Clone();
        var first = await _options.Masters.Leader(stop);
        var (response, address) = await Open(first, Encode(call), stop);
        using var disposed = response;
        if (!response.Headers.TryGetValues(StreamIdHeader, out var streamIds))
            throw new MasterUnavailable($"{address} answered a subscription without {StreamIdHeader}.");
        var mine = new Subscription(address, streamIds.First());
        _subscription = mine;
        await using var records = new RecordReader(await response.Content.ReadAsStreamAsync(stop));
        using var watchdog = new CancellationTokenSource(_options.CallTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(watchdog.Token, stop);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var deposed = EndWhenDeposed(first, mine, watchdog, over.Token);
        var patience = _options.CallTimeout;
        var ended = false;
        try
        {
            while (await Next(records, mine, either.Token, stop) is { } message)
            {
                if (message.Type == EventType.Subscribed && message.Subscribed.HeartbeatIntervalSeconds > 0)
                    patience = TimeSpan.FromSeconds(message.Subscribed.HeartbeatIntervalSeconds * _options.MissedHeartbeatsMax);
                ended |= message.Type == EventType.Error;
                yield return message;
                watchdog.CancelAfter(patience);
            }
        }
        finally
        {
            over.Cancel();
            await deposed;
        }

        if (!ended && !mine.IsTornDown)
            throw new MasterUnavailable($"{address} ended the event stream.");
    }

    public async Task Call(Call call, CancellationToken stop)
    {
        var current = _subscription ?? throw new MasterUnavailable("Not subscribed.");
        if (call.Type == CallType.Teardown)
            current.IsTornDown = true;
        try
        {
            // The token of an account is asked for in between; all others go one behind the other.
            var (status, text) = _calls is { } calls ? await Alone(calls, current, call, stop) : await Pipelined(current, call, stop);
            if (status is < 200 or >= 300)
                throw Refusal(status, text, current.Address);
        }
        catch (Exception lost) when (lost is HttpRequestException or IOException)
        {
            throw new MasterUnavailable($"The call {call.Type} to {current.Address} failed: {lost.Message}", lost);
        }
        catch (OperationCanceledException late) when (!stop.IsCancellationRequested)
        {
            throw new MasterUnavailable($"The call {call.Type} to {current.Address} got no answer in {_options.CallTimeout}.", late);
        }
    }

    public void Dispose()
    {
        _streams.Dispose();
        _calls?.Dispose();
        lock (_gate)
            _pipeline?.Calls.Dispose();
    }

    /// <summary>Waits also until every connection for calls has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        Dispose();
        Task[] connections;
        lock (_gate)
            connections = [.. _connections];
        await Task.WhenAll(connections);
    }

    private async Task<(int Status, string Text)> Pipelined(Subscription current, Call call, CancellationToken stop)
    {
        var raw = Raw(current, Encode(call));
        for (var isSecond = false; ; isSecond = true)
        {
            var pipeline = PipelineTo(current.Address);
            if (pipeline.TrySend(raw, stop, out var sent))
            {
                var answer = await sent;
                return (answer.Status, answer.Text);
            }
            // It broke just now, and the call was surely not sent: another connection may do.
            if (isSecond)
                throw new IOException(pipeline.Why!.Message, pipeline.Why);
        }
    }

    private CallPipeline PipelineTo(Uri address)
    {
        lock (_gate)
        {
            if (_pipeline is { } present)
            {
                if (present.To == address && present.Calls.IsFit)
                    return present.Calls;
                present.Calls.Dispose();
            }

            var made = new CallPipeline(stop => _options.Access.Connect(address, stop), _options.CallTimeout, _time);
            _pipeline = (address, made);
            _connections.RemoveAll(connection => connection.IsCompleted);
            _connections.Add(made.Running);
            return made;
        }
    }

    private byte[] Raw(Subscription current, byte[] body)
    {
        var isZipped = body.Length >= _options.GzipBytesMin;
        if (isZipped)
            body = Zipped(body);
        var head = $"POST {Path} HTTP/1.1\r\nHost: {current.Address.Authority}\r\nContent-Type: {_mediaType}\r\n{StreamIdHeader}: {current.StreamId}\r\n"
            + $"{_options.Access.AuthorizationLine}{(isZipped ? "Content-Encoding: gzip\r\n" : "")}Content-Length: {body.Length}\r\n\r\n";
        var raw = new byte[head.Length + body.Length];
        Encoding.ASCII.GetBytes(head, raw);
        body.CopyTo(raw, head.Length);
        return raw;
    }

    private async Task<(int Status, string Text)> Alone(HttpClient calls, Subscription current, Call call, CancellationToken stop)
    {
        using var request = Request(current.Address, Encode(call));
        request.Headers.Add(StreamIdHeader, current.StreamId);
        using var timeout = new CancellationTokenSource(_options.CallTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        using var response = await calls.SendAsync(request, either.Token);
        return ((int)response.StatusCode, response.IsSuccessStatusCode ? "" : await response.Content.ReadAsStringAsync(either.Token));
    }

    /// <summary>A master that leads no more may keep its streams open; whoever says who leads is believed. Never throws.</summary>
    private async Task EndWhenDeposed(Uri leader, Subscription subscription, CancellationTokenSource watchdog, CancellationToken over)
    {
        try
        {
            await _options.Masters.Deposed(leader, over);
            subscription.IsDeposed = true;
            watchdog.Cancel();
        }
        catch (OperationCanceledException)
        {
            return; // the stream has ended before
        }
    }

    /// <summary>Finds the leading master: follows redirects, and begins with another address each time one does not answer.</summary>
    private async Task<(HttpResponseMessage Response, Uri Address)> Open(Uri first, byte[] body, CancellationToken stop)
    {
        var address = first;
        for (var redirects = 0; redirects <= RedirectsMax; redirects++)
        {
            using var request = Request(address, body);
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(_mediaType));
            using var timeout = new CancellationTokenSource(_options.CallTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
            HttpResponseMessage response;
            try
            {
                response = await _streams.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            }
            catch (Exception lost) when (lost is HttpRequestException or IOException or OperationCanceledException)
            {
                stop.ThrowIfCancellationRequested();
                _options.Masters.Failed(first);
                throw new MasterUnavailable($"{address} does not answer: {lost.Message}", lost);
            }

            if (response.StatusCode == HttpStatusCode.OK)
                return (response, address);
            using (response)
            {
                if (response.StatusCode != HttpStatusCode.TemporaryRedirect || response.Headers.Location is not { } location)
                {
                    _options.Masters.Failed(first);
                    throw Refusal((int)response.StatusCode, await response.Content.ReadAsStringAsync(stop), address);
                }

                address = Redirected(address, location);
            }
        }

        _options.Masters.Failed(first);
        throw new MasterUnavailable($"{address} redirects in a circle.");
    }

    // Mesos leaves the scheme out: //10.0.0.2:5050/master/api/v1/scheduler.
    private static Uri Redirected(Uri from, Uri location)
    {
        var target = new Uri(from, location);
        return new Uri(target.GetLeftPart(UriPartial.Authority));
    }

    private async Task<Event?> Next(RecordReader records, Subscription subscription, CancellationToken either, CancellationToken stop)
    {
        try
        {
            return await records.Read(either) is { } record ? Decode(record) : null;
        }
        catch (OperationCanceledException late) when (!stop.IsCancellationRequested)
        {
            throw new MasterUnavailable(subscription.IsDeposed ? $"{subscription.Address} does not lead any more." : $"{subscription.Address} sends no heartbeats any more.", late);
        }
        catch (Exception lost)
            when (lost is HttpRequestException or IOException or InvalidDataException or InvalidProtocolBufferException or FormatException)
        {
            throw new MasterUnavailable($"The event stream of {subscription.Address} broke: {lost.Message}", lost);
        }
    }

    private Event Decode(ReadOnlySequence<byte> record) =>
        _options.Json
            ? MesosJson.Read<Event>(record.IsSingleSegment ? record.FirstSpan : record.ToArray())
            : Event.Parser.ParseFrom(record);

    private byte[] Encode(Call call) => _options.Json ? MesosJson.Write(call) : call.ToByteArray();

    private HttpRequestMessage Request(Uri address, byte[] body)
    {
        var isZipped = body.Length >= _options.GzipBytesMin;
        var content = new ByteArrayContent(isZipped ? Zipped(body) : body);
        if (isZipped)
            content.Headers.ContentEncoding.Add("gzip");
        content.Headers.ContentType = new MediaTypeHeaderValue(_mediaType);
        return new HttpRequestMessage(HttpMethod.Post, new Uri(address, Path)) { Content = content };
    }

    private static byte[] Zipped(byte[] body)
    {
        using var zipped = new MemoryStream(body.Length / 4);
        using (var gzip = new GZipStream(zipped, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(body);
        return zipped.ToArray();
    }

    // 403 is "not subscribed" and 307 "not leading any more": both mean that a new subscription is needed.
    private static Exception Refusal(int status, string text, Uri address) =>
        status is >= 400 and < 500 and not 403 and not 408 and not 429
            ? new CallRefused(status, text)
            : new MasterUnavailable($"{address} answered {status}: {text}");

    private sealed class Subscription(Uri address, string streamId)
    {
        public Uri Address { get; } = address;
        public string StreamId { get; } = streamId;
        public bool IsTornDown { get; set; }
        public bool IsDeposed { get; set; }
    }
}
