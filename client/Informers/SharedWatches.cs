using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.Client.Informers;

/// <summary>
/// An API whose watches of the same objects share one stream: the controllers of a process follow the pods once, not each for itself, and what
/// one of them has decoded the others have too (<see cref="Stored.View"/>). Who begins at an earlier revision than is kept follows on its own
/// until it has caught up.
/// </summary>
/// <param name="others">Watches of another user of this process, who may see as much: they are followed in the place of own ones, unless that user is refused (403).</param>
public sealed class SharedWatches(IApi inner, SharedWatches? others = null) : IApi
{
    /// <summary>Events kept for those who join.</summary>
    private const int KeptMax = 1_000;

    /// <summary>Who is further behind gets 410, as from the server: what he has not passed is kept for him.</summary>
    internal const int BehindMax = 20_000;

    /// <summary>Events that followers are told of together, where more and more are at hand.</summary>
    internal const int ToldAtOnceMax = 256;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, SharedStream> _streams = new(StringComparer.Ordinal);

    public Task<Stored> Get(ResourceKey key, string subresource = "", CancellationToken stop = default) => inner.Get(key, subresource, stop);

    public Task<StoredList> List(ListRequest request, CancellationToken stop = default) => inner.List(request, stop);

    public Task<Stored> Create(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Create(key, json, options, stop);

    public Task<Stored> Update(ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions? options = null, CancellationToken stop = default) => inner.Update(key, json, options, stop);

    public Task<Stored> Patch(ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions? options = null, CancellationToken stop = default) => inner.Patch(key, kind, patch, options, stop);

    public Task<Stored> Delete(ResourceKey key, DeleteOptions? options = null, CancellationToken stop = default) => inner.Delete(key, options, stop);

    public async IAsyncEnumerable<WatchEvent> Watch(WatchRequest request, [EnumeratorCancellation] CancellationToken stop = default)
    {
        if (request.SendInitialEvents || request.From is null or 0)
        {
            await foreach (var change in inner.Watch(request, stop)) yield return change;
            yield break;
        }
        var from = request.From.Value;
        if (others is not null)
        {
            await using var followed = others.Watch(request, stop).GetAsyncEnumerator(stop);
            while (await IsNext(followed) is { } isNext)
            {
                if (!isNext) yield break;
                from = Math.Max(from, followed.Current.Revision);
                yield return followed.Current;
            }
            request = request with { From = from };
        }
        var (stream, reader) = Join(request, from);
        if (stream is null)
        {
            await foreach (var change in inner.Watch(request, stop))
            {
                from = Math.Max(from, change.Revision);
                yield return change;
                (stream, reader) = Join(request with { From = from }, from);
                if (stream is not null) break;
            }
            if (stream is null) yield break;
        }
        try
        {
            while (await reader!.Next(stop) is { } change)
            {
                if (change.Revision > from) yield return change;
            }
        }
        finally
        {
            await Leave(stream, reader!);
        }
    }

    /// <summary>null: its user may not see this.</summary>
    private static async ValueTask<bool?> IsNext(IAsyncEnumerator<WatchEvent> followed)
    {
        try
        {
            return await followed.MoveNextAsync();
        }
        catch (ApiException e) when (e.Code == 403)
        {
            return null;
        }
    }

    /// <summary>null: it has to catch up first.</summary>
    private (SharedStream? Stream, Reader? Reader) Join(WatchRequest request, long from)
    {
        var key = $"{request.Kind} {request.Namespace} {request.Labels} {request.Fields} {request.Bookmarks}";
        SharedStream? slower = null;
        Reader? reader = null;
        lock (_lock)
        {
            if (_streams.TryGetValue(key, out var stream) && request.BookmarkEvery < (stream.BookmarkEvery ?? TimeSpan.MaxValue))
            {
                // Who waits for bookmarks needs a quicker stream; those who follow the slower one come over when it ends.
                _streams.Remove(key);
                (slower, stream) = (stream, null);
                slower.IsReplaced = true;
            }
            if (stream is null)
            {
                _streams.Add(key, stream = new(key, from, request.BookmarkEvery));
                stream.Pump = Pump(stream, request);
            }
            if (from >= stream.Low) stream.Readers.Add(reader = new(stream, from));
            slower?.Over.Cancel();
            return (reader is null ? null : stream, reader);
        }
    }

    private async Task Leave(SharedStream stream, Reader reader)
    {
        lock (_lock)
        {
            stream.Readers.Remove(reader);
            if (stream.Readers.Count > 0) return;
            if (_streams.GetValueOrDefault(stream.Key) == stream) _streams.Remove(stream.Key);
            stream.Over.Cancel();
        }
        await stream.Pump;
        stream.Over.Dispose();
    }

    private async Task Pump(SharedStream stream, WatchRequest request)
    {
        await Task.Yield();
        var end = new Place(null, 0);
        Exception? failure = null;
        // Events that come together are told together: whoever follows is woken once for all of them.
        (Place After, Place First)? untold = null;
        try
        {
            await using var events = inner.Watch(request, stream.Over.Token).GetAsyncEnumerator(stream.Over.Token);
            while (true)
            {
                var next = events.MoveNextAsync();
                if (!next.IsCompleted || stream.Last.Number - untold?.After.Number >= ToldAtOnceMax) Tell();
                if (!await next) break;
                Place last;
                lock (_lock)
                {
                    last = stream.Last;
                    stream.Last = new(events.Current, last.Number + 1);
                    if (++stream.Kept > KeptMax) stream.Forget();
                    if (stream.Last.Number % KeptMax == 0) stream.LeaveBehind();
                }
                if (untold is null) untold = (last, stream.Last);
                else last.Continue(stream.Last);
            }
        }
        catch (OperationCanceledException) when (stream.IsReplaced)
        {
            failure = null;
        }
        catch (Exception e) // each of those who follow gets it as if the stream were its own
        {
            failure = e;
        }
        Tell();
        lock (_lock)
        {
            if (_streams.GetValueOrDefault(stream.Key) == stream) _streams.Remove(stream.Key);
        }
        if (failure is null) stream.Last.Continue(end);
        else stream.Last.Fail(failure);

        void Tell()
        {
            untold?.After.Continue(untold.Value.First);
            untold = null;
        }
    }

    /// <summary>An event and what follows it. Who has passed it lets it go.</summary>
    private sealed class Place(WatchEvent? happened, long number)
    {
        private readonly TaskCompletionSource<Place> _next = Completion.New<Place>();

        /// <summary>null: the stream has ended in good order, or (in the first place) not begun.</summary>
        public WatchEvent? Event => happened;
        public long Number => number;
        public Task<Place> Next => _next.Task;

        public void Continue(Place next) => _next.TrySetResult(next);

        public void Fail(Exception failure)
        {
            _next.TrySetException(failure);
            _ = _next.Task.Exception; // seen, also where nobody follows any more
        }
    }

    /// <summary>Nothing but this holds its place, so that what follows it goes when the reader is left behind.</summary>
    private sealed class Reader(SharedStream stream, long from)
    {
        private Place? _at = stream.First;
        private long _seen = from;

        /// <returns>null: the stream has ended in good order.</returns>
        public async ValueTask<WatchEvent?> Next(CancellationToken stop)
        {
            stop.ThrowIfCancellationRequested();
            if (Volatile.Read(ref _at) is not { } at) throw Status.Expired(_seen, stream.Low);
            if (!at.Next.IsCompleted) await at.Next.WaitAsync(stop);
            var next = await at.Next;
            if (Interlocked.CompareExchange(ref _at, next, at) != at) throw Status.Expired(_seen, stream.Low);
            if (next.Event is { } change) _seen = Math.Max(_seen, change.Revision);
            return next.Event;
        }

        public void LeaveBehind(long before)
        {
            if (Volatile.Read(ref _at) is { } at && at.Number < before) Interlocked.CompareExchange(ref _at, null, at);
        }
    }

    private sealed class SharedStream(string key, long from, TimeSpan? bookmarkEvery)
    {
        public string Key => key;
        public TimeSpan? BookmarkEvery => bookmarkEvery;

        /// <summary>A quicker one has its place: it ends in good order.</summary>
        public bool IsReplaced { get; set; }

        public Place First { get; private set; } = new(null, 0);
        public Place Last { get => _last ?? First; set => _last = value; }
        private Place? _last;

        /// <summary>All events after this revision follow <see cref="First"/>.</summary>
        public long Low { get; private set; } = from;
        public int Kept { get; set; }
        public List<Reader> Readers { get; } = [];
        public CancellationTokenSource Over { get; } = new();
        public Task Pump { get; set; } = Task.CompletedTask;

        public void LeaveBehind()
        {
            foreach (var reader in Readers) reader.LeaveBehind(Last.Number - BehindMax);
        }

        public void Forget()
        {
            if (!First.Next.IsCompletedSuccessfully) return;
            First = First.Next.Result;
            Low = Math.Max(Low, First.Event?.Revision ?? 0);
            Kept--;
        }
    }
}
