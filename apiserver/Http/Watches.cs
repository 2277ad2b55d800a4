using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.IO.Pipelines;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>
/// WATCH: one JSON line per event, <c>{"type":"ADDED","object":{…}}</c>. Events that are at hand together are flushed together; before
/// every wait what is written is flushed, but at most once in 5 ms. A reader that does not read holds back only its own cursor.
/// </summary>
internal static class Watches
{
    private const int FlushBytes = 64 * 1024;

    /// <summary>30 days; a timer can not wait for more than 49.</summary>
    private const long TimeoutSecondsMax = 30 * 86_400;

    /// <summary>Between two flushes of one watch: the first of many events that come one after the other goes at once, the others together.</summary>
    private static readonly TimeSpan FlushRest = TimeSpan.FromMilliseconds(5);

    /// <param name="times">Of watches that name none.</param>
    public static async Task Stream(Exchange exchange, WatchTimes times, CancellationToken closing)
    {
        var accept = exchange.Accept;
        var request = Request(exchange, times);
        var lines = WatchForm.Of(exchange, accept);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(exchange.Aborted, closing);
        await using var events = exchange.Api.Watch(request, stop.Token).GetAsyncEnumerator(stop.Token);
        var context = exchange.Context;
        PipeWriter? writer = null;
        var (unflushed, flushed) = (0, 0L);
        try
        {
            while (true)
            {
                var next = events.MoveNextAsync();
                if (!next.IsCompleted && unflushed > 0 && FlushRest - Stopwatch.GetElapsedTime(flushed) is { Ticks: > 0 } rest) await Task.Delay(rest, CancellationToken.None);
                if (!next.IsCompleted)
                {
                    try
                    {
                        writer ??= Answers.Begin(context, 200, lines.ContentType).BodyWriter;
                        await writer.FlushAsync(stop.Token);
                    }
                    catch
                    {
                        // An iterator can be disposed of only when it rests.
                        await stop.CancelAsync();
                        await ((Task)next.AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                        throw;
                    }
                    (unflushed, flushed) = (0, Stopwatch.GetTimestamp());
                }
                if (!await next) break;
                writer ??= Answers.Begin(context, 200, lines.ContentType).BodyWriter;
                unflushed += lines.Write(writer, events.Current);
                if (unflushed < FlushBytes) continue;
                await writer.FlushAsync(stop.Token);
                unflushed = 0;
            }
        }
        catch (ApiException refusal) when (refusal.IsExpired || writer is not null)
        {
            // Once the stream has begun (and for 410 always, as kube-apiserver's watch cache does) the refusal is an event of it.
            writer ??= Answers.Begin(context, 200, lines.ContentType).BodyWriter;
            lines.WriteError(writer, refusal.Status);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            if (exchange.Aborted.IsCancellationRequested) return;
        }
        if (writer is null) Answers.Begin(context, 200, lines.ContentType);
        else await writer.FlushAsync(exchange.Aborted);
    }

    private static WatchRequest Request(Exchange exchange, WatchTimes times)
    {
        var query = exchange.Query;
        var fields = FieldSelector.Parse(query.Text("fieldSelector"));
        if (exchange.Path.Name.Length > 0) fields = FieldSelector.Of("metadata.name", exchange.Path.Name);
        query.Number("limit", long.MinValue);
        OptionChecks.Watch(query);
        return new(exchange.Path.Kind, exchange.Path.Namespace)
        {
            Labels = LabelSelector.Parse(query.Text("labelSelector")),
            Fields = fields,
            From = Reads.Revision(query),
            Bookmarks = query.Flag("allowWatchBookmarks"),
            IsQuick = true,
            SendInitialEvents = query.Flag("sendInitialEvents"),
            // Ours, beside Kubernetes' parameters: a part that others wait for wants to know sooner that nothing has happened.
            BookmarkEvery = query.Number("bookmarkMilliseconds") is { } every and > 0 ? TimeSpan.FromMilliseconds(Math.Min(every, 60_000)) : null,
            Timeout = query.Number("timeoutSeconds") is { } seconds and > 0 ? TimeSpan.FromSeconds(Math.Min(seconds, TimeoutSecondsMax)) : times.Next(),
        };
    }
}
