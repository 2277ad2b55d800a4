using System.Buffers;
using System.IO.Pipelines;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Client.Http;

/// <summary>
/// The API of a remote server over HTTPS, as the user of the kubeconfig. What breaks on the way (no connection, a broken stream, no answer in
/// time) is thrown as an <see cref="ApiException"/> too: 503 and 504, which are retryable.
/// A deletion that removed the object at once, a binding and an eviction are answered by the server with a Status: the result then has revision 0
/// and no object.
/// </summary>
public sealed class HttpApi(Kubeconfig config, TimeProvider time, string userAgent = "declarative") : IApi, IDisposable
{
    /// <summary>Of a request that is no watch.</summary>
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private const string JsonType = "application/json";

    /// <summary>No more memory is taken on the word of a header.</summary>
    private const int AnswerBytesAtOnceMax = 1024 * 1024;

    private readonly Connection _connection = new(config, userAgent);
    private readonly Reach _reach = new();

    public Uri Server => config.Server;

    /// <summary>Is told once when the server is lost and once when it is back.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    public async Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) =>
        StoredJson.Read(key, await Send(HttpMethod.Get, RequestUrl.Object(key, subresource), null, null, stop));

    public async Task<StoredList> List(ListRequest request, CancellationToken stop = default)
    {
        if (request.Labels.IsNothing) return new([], 0, "", 0);
        var url = RequestUrl.Collection(request.Kind, request.Namespace)
            .With("labelSelector", request.Labels.ToString())
            .With("fieldSelector", request.Fields.ToString())
            .With("limit", request.Limit > 0 ? request.Limit : null)
            .With("continue", request.Continue)
            .With("resourceVersion", request.Revision)
            .With("resourceVersionMatch", request.ExactRevision ? "Exact" : "");
        return StoredJson.ReadList(request.Kind, await Send(HttpMethod.Get, url, null, null, stop));
    }

    public async Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default)
    {
        options ??= new();
        var answer = await Send(HttpMethod.Post, RequestUrl.New(key, options.Subresource).With(options), Json(json, JsonType), options.Warnings, stop);
        return StoredJson.Read(key, answer);
    }

    public async Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default)
    {
        options ??= new();
        return StoredJson.Read(key, await Send(HttpMethod.Put, RequestUrl.Object(key, options.Subresource).With(options), Json(json, JsonType), options.Warnings, stop));
    }

    public async Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default)
    {
        options ??= new();
        var type = kind switch
        {
            PatchKind.Json => "application/json-patch+json",
            PatchKind.Merge => "application/merge-patch+json",
            PatchKind.Strategic => "application/strategic-merge-patch+json",
            _ => "application/apply-patch+yaml",
        };
        return StoredJson.Read(key, await Send(HttpMethod.Patch, RequestUrl.Object(key, options.Subresource).With(options), Json(patch, type), options.Warnings, stop));
    }

    public async Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default)
    {
        options ??= new();
        var body = Json(DeleteBody(options), JsonType);
        var answer = await Send(HttpMethod.Delete, RequestUrl.Object(key, ""), body, options.Warnings, stop);
        var stored = StoredJson.Read(key, answer);
        return stored.Uid.Length > 0 ? stored : stored with { Uid = Status.Read(200, answer.Span).Uid };
    }

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
    {
        var url = RequestUrl.Collection(request.Kind, request.Namespace)
            .With("watch", true)
            .With("labelSelector", request.Labels.ToString())
            .With("fieldSelector", request.Fields.ToString())
            .With("resourceVersion", request.From)
            .With("allowWatchBookmarks", request.Bookmarks)
            .With("sendInitialEvents", request.SendInitialEvents)
            .With("resourceVersionMatch", request.SendInitialEvents ? "NotOlderThan" : "")
            .With("timeoutSeconds", request.Timeout is { } timeout ? Math.Max(1, (long)timeout.TotalSeconds) : null)
            .With("bookmarkMilliseconds", request.BookmarkEvery is { } every ? Math.Max(1, (long)every.TotalMilliseconds) : null); // ours; other servers ignore it
        using var response = await Begin(url, stop);
        await using var body = await response.Content.ReadAsStreamAsync(stop);
        var reader = PipeReader.Create(body, new(bufferSize: 16 * 1024));
        try
        {
            while (await Fill(reader, stop) is { } filled)
            {
                var buffer = filled.Buffer;
                while (TakeLine(ref buffer, out var line))
                {
                    if (!line.IsEmpty) yield return Event(request, line);
                }
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (filled.IsCompleted) yield break;
            }
        }
        finally
        {
            await reader.CompleteAsync();
        }
    }

    /// <summary>The body of any GET, for what is no object: tables and logs. It may have no end before <paramref name="stop"/>; the caller disposes of it.</summary>
    /// <param name="accept">A media type, or several with commas.</param>
    public async Task<Stream> Open(RequestUrl url, string accept, CancellationToken stop = default)
    {
        var response = await Begin(url, stop, accept);
        return await response.Content.ReadAsStreamAsync(stop);
    }

    public void Dispose() => _connection.Dispose();

    private async Task<HttpResponseMessage> Begin(RequestUrl url, CancellationToken stop, string accept = JsonType)
    {
        try
        {
            using var request = _connection.Request(HttpMethod.Get, url, accept);
            var response = await _connection.Send(request, stop);
            _reach.Answered(Logger, config.Server, time);
            if (response.IsSuccessStatusCode) return response;
            using (response) throw new ApiException(Status.Read((int)response.StatusCode, await response.Content.ReadAsByteArrayAsync(stop)));
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Broken(e);
        }
    }

    private async Task<ReadResult?> Fill(PipeReader reader, CancellationToken stop)
    {
        try
        {
            return await reader.ReadAsync(stop);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Broken(e);
        }
    }

    private static bool TakeLine(ref ReadOnlySequence<byte> buffer, out ReadOnlySequence<byte> line)
    {
        line = default;
        if (buffer.PositionOf((byte)'\n') is not { } end) return false;
        line = buffer.Slice(0, end);
        buffer = buffer.Slice(buffer.GetPosition(1, end));
        return true;
    }

    private static WatchEvent Event(WatchRequest request, in ReadOnlySequence<byte> line)
    {
        if (line.IsSingleSegment) return StoredJson.ReadEvent(request.Kind, line.FirstSpan);
        var rented = ArrayPool<byte>.Shared.Rent((int)line.Length);
        line.CopyTo(rented);
        try
        {
            return StoredJson.ReadEvent(request.Kind, rented.AsSpan(0, (int)line.Length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private async Task<ReadOnlyMemory<byte>> Send(HttpMethod method, RequestUrl url, HttpContent? content, ICollection<string>? warnings, CancellationToken stop)
    {
        using var deadline = new CancellationTokenSource(Deadline, time);
        using var stopping = stop.UnsafeRegister(static deadline => ((CancellationTokenSource)deadline!).Cancel(), deadline);
        try
        {
            using var request = _connection.Request(method, url, JsonType);
            request.Content = content;
            using var response = await _connection.Send(request, deadline.Token);
            _reach.Answered(Logger, config.Server, time);
            var body = await Whole(response.Content, deadline.Token);
            if (warnings is not null) TakeWarnings(response.Headers, warnings);
            return response.IsSuccessStatusCode ? body : throw new ApiException(Status.Read((int)response.StatusCode, body));
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested && deadline.IsCancellationRequested)
        {
            throw Status.Timeout($"{config.Server}: no answer to {method} {url} within {Deadline.TotalSeconds} s");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw Broken(e);
        }
    }

    /// <summary>The body, read at once into what is kept where the server says how much comes.</summary>
    private static async Task<byte[]> Whole(HttpContent content, CancellationToken stop)
    {
        if (content.Headers.ContentLength is not (> 0 and < AnswerBytesAtOnceMax and var length)) return await content.ReadAsByteArrayAsync(stop);
        var body = new byte[length];
        await using var stream = await content.ReadAsStreamAsync(stop);
        await stream.ReadExactlyAsync(body, stop);
        // To its end: HTTP/2 may tell it in a frame of its own, and what is left before counts as cancelled.
        return await stream.ReadAsync(new byte[1], stop) == 0 ? body : throw new IOException("an answer is longer than its Content-Length");
    }

    private ApiException Broken(Exception e)
    {
        var cause = e;
        while (cause.InnerException is { } inner) cause = inner;
        _reach.Lost(Logger, config.Server, time, cause.Message);
        return new(Status.Unavailable($"{config.Server}: {cause.Message}").Status) { IsOutOfReach = true };
    }

    /// <summary><c>Warning: 299 - "text"</c> (RFC 7234 section 5.5).</summary>
    private static void TakeWarnings(HttpResponseHeaders headers, ICollection<string> warnings)
    {
        foreach (var warning in headers.Warning) warnings.Add(warning.Text.Trim('"').Replace("\\\"", "\"", StringComparison.Ordinal).Replace("\\\\", "\\", StringComparison.Ordinal));
    }

    private static ReadOnlyMemoryContent Json(ReadOnlyMemory<byte> json, string type)
    {
        var content = new ReadOnlyMemoryContent(json);
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        return content;
    }

    private static byte[] DeleteBody(DeleteOptions options) => Body.Of(json =>
    {
        json.WriteString("apiVersion"u8, "v1"u8);
        json.WriteString("kind"u8, "DeleteOptions"u8);
        if (options.GracePeriodSeconds is { } grace) json.WriteNumber("gracePeriodSeconds"u8, grace);
        if (options.Propagation != Propagation.Default) json.WriteString("propagationPolicy"u8, options.Propagation.ToString());
        if (options.DryRun) json.Strings("dryRun", ["All"]);
        if (options.Uid is null && options.Revision is null) return;
        json.Object("preconditions", x =>
        {
            if (options.Uid is { } uid) x.WriteString("uid"u8, uid);
            if (options.Revision is { } revision) x.WriteString("resourceVersion"u8, revision.ToString(System.Globalization.CultureInfo.InvariantCulture));
        });
    });
}
