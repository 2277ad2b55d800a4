using System.Buffers;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using Google.Protobuf;
using CallType = Declarative.Mesos.Protocol.MasterApi.Call.Types.Type;

namespace Declarative.Mesos.Scheduler.Http;

/// <summary>The operator API of a master (<c>/api/v1</c>), as readers use it: the event stream and single questions.</summary>
/// <remarks>Masters are tried in turn; a redirect to the leading one is followed.</remarks>
/// <param name="options">Where the masters are.</param>
/// <param name="time">For the watch over heartbeats.</param>
/// <exception cref="IOException">A certificate file cannot be read.</exception>
public sealed class HttpOperator(HttpMasterOptions options, TimeProvider time) : IDisposable
{
    private const string Protobuf = "application/x-protobuf";
    private const int RedirectsMax = 5;
    private readonly HttpClient _client = new(options.Access.Handler(int.MaxValue)) { Timeout = Timeout.InfiniteTimeSpan };

    private static readonly HashSet<Event.Types.Type> None = [];

    /// <inheritdoc cref="Watch(IReadOnlySet{Event.Types.Type}, CancellationToken)"/>
    public IAsyncEnumerable<Event> Watch(CancellationToken stop) => Watch(None, stop);

    /// <summary>SUBSCRIBED with the whole state, then every change, HEARTBEAT in between.</summary>
    /// <param name="unread">Types of events that are passed over without being read: of a busy cluster's, most are of tasks.</param>
    /// <param name="stop">Ends the stream.</param>
    /// <exception cref="MasterUnavailable">There is no master, the stream was lost, heartbeats stopped, or another master leads.</exception>
    public async IAsyncEnumerable<Event> Watch(IReadOnlySet<Event.Types.Type> unread, [EnumeratorCancellation] CancellationToken stop)
    {
        var leader = await options.Masters.Leader(stop);
        using var response = await Send(leader, new Call { Type = CallType.Subscribe }, stop);
        await using var records = new RecordReader(await response.Content.ReadAsStreamAsync(stop));
        using var watchdog = new CancellationTokenSource(options.CallTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(watchdog.Token, stop);
        using var over = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var deposed = EndWhenDeposed(leader, watchdog, over.Token);
        var patience = options.CallTimeout;
        try
        {
            while (await Next(records, unread, leader, deposed, either.Token, stop) is { } message)
            {
                if (message.Type == Event.Types.Type.Subscribed && message.Subscribed.HeartbeatIntervalSeconds > 0)
                    patience = TimeSpan.FromSeconds(message.Subscribed.HeartbeatIntervalSeconds * options.MissedHeartbeatsMax);
                yield return message;
                if (!deposed.IsCompleted)
                    watchdog.CancelAfter(patience);
            }
        }
        finally
        {
            over.Cancel();
            await deposed;
        }

        throw new MasterUnavailable("The master ended the operator stream.");
    }

    /// <summary>True: another master leads. False: the stream was over before.</summary>
    private async Task<bool> EndWhenDeposed(Uri leader, CancellationTokenSource watchdog, CancellationToken over)
    {
        try
        {
            await options.Masters.Deposed(leader, over);
            watchdog.Cancel();
            return true;
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>One question, for example GET_AGENTS.</summary>
    /// <exception cref="MasterUnavailable">There is no answer.</exception>
    public async System.Threading.Tasks.Task<Response> Ask(Call call, CancellationToken stop)
    {
        using var response = await Send(await options.Masters.Leader(stop), call, stop);
        try
        {
            return Response.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync(stop));
        }
        catch (Exception lost) when (lost is HttpRequestException or IOException or InvalidProtocolBufferException)
        {
            throw new MasterUnavailable($"The answer to {call.Type} was lost: {lost.Message}", lost);
        }
    }

    public void Dispose() => _client.Dispose();

    private async Task<HttpResponseMessage> Send(Uri first, Call call, CancellationToken stop)
    {
        var address = first;
        for (var redirects = 0; redirects <= RedirectsMax; redirects++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(address, "/api/v1")) { Content = new ByteArrayContent(call.ToByteArray()) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(Protobuf);
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(Protobuf));
            using var timeout = new CancellationTokenSource(options.CallTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
            HttpResponseMessage response;
            try
            {
                response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            }
            catch (Exception lost) when (lost is HttpRequestException or IOException or OperationCanceledException)
            {
                stop.ThrowIfCancellationRequested();
                options.Masters.Failed(first);
                throw new MasterUnavailable($"{address} does not answer: {lost.Message}", lost);
            }

            if (response.IsSuccessStatusCode)
                return response;
            using (response)
            {
                if (response.StatusCode != System.Net.HttpStatusCode.TemporaryRedirect || response.Headers.Location is not { } location)
                {
                    options.Masters.Failed(first);
                    throw new MasterUnavailable($"{address} answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(stop)}");
                }

                // Mesos leaves the scheme out: //10.0.0.2:5050/master/api/v1.
                address = new Uri(new Uri(address, location).GetLeftPart(UriPartial.Authority));
            }
        }

        options.Masters.Failed(first);
        throw new MasterUnavailable($"{address} redirects in a circle.");
    }

    private static async Task<Event?> Next(RecordReader records, IReadOnlySet<Event.Types.Type> unread, Uri leader, Task<bool> deposed, CancellationToken either, CancellationToken stop)
    {
        try
        {
            while (await records.Read(either) is { } record)
            {
                if (unread.Count == 0 || !unread.Contains(TypeOf(record)))
                    return Event.Parser.ParseFrom(record);
            }

            return null;
        }
        catch (OperationCanceledException late) when (!stop.IsCancellationRequested)
        {
            throw new MasterUnavailable(deposed.IsCompleted ? $"{leader} does not lead any more." : "The master sends no heartbeats any more.", late);
        }
        catch (Exception lost) when (lost is HttpRequestException or IOException or InvalidDataException or InvalidProtocolBufferException)
        {
            throw new MasterUnavailable($"The operator stream broke: {lost.Message}", lost);
        }
    }

    /// <summary>The event's field 1, with which masters begin; UNKNOWN where it does not.</summary>
    private static Event.Types.Type TypeOf(ReadOnlySequence<byte> record)
    {
        var reader = new SequenceReader<byte>(record);
        return reader.TryRead(out var tag) && tag == (Event.TypeFieldNumber << 3) && reader.TryRead(out var type) && type < 0x80 ? (Event.Types.Type)type : Event.Types.Type.Unknown;
    }
}
