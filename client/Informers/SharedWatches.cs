using System.Runtime.CompilerServices;
using Declarative.Api;

namespace Declarative.Client.Informers;

/// <summary>
/// An API whose watches of the same objects share one stream: the controllers of a process follow the pods once, not each for itself, and what
/// one of them has decoded the others have too (<see cref="Stored.View"/>). Who begins at an earlier revision than is kept follows on its own
/// until it has caught up.
/// </summary>
public sealed class SharedWatches(IApi inner) : IApi
{
    /// <summary>Events kept for those who join.</summary>
    private const int KeptMax = 1_000;

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
        var (stream, place) = Join(request, from);
        if (stream is null)
        {
            await foreach (var change in inner.Watch(request, stop))
            {
                from = Math.Max(from, change.Revision);
                yield return change;
                (stream, place) = Join(request with { From = from }, from);
                if (stream is not null) break;
            }
            if (stream is null) yield break;
        }
        try
        {
            while (true)
            {
                if (!place.Next.IsCompleted) await place.Next.WaitAsync(stop);
                place = await place.Next;
                if (place.Event is not { } change) yield break;
                if (change.Revision > from) yield return change;
            }
        }
        finally
        {
            await Leave(stream);
        }
    }

    /// <summary>null: it has to catch up first.</summary>
    private (SharedStream? Stream, Place Place) Join(WatchRequest request, long from)
    {
        var key = $"{request.Kind} {request.Namespace} {request.Labels} {request.Fields} {request.Bookmarks} {request.BookmarkEvery}";
        lock (_lock)
        {
            if (!_streams.TryGetValue(key, out var stream))
            {
                _streams.Add(key, stream = new(key, from));
                stream.Pump = Pump(stream, request);
            }
            if (from < stream.Low) return (null, stream.First);
            stream.Readers++;
            return (stream, stream.First);
        }
    }

    private async Task Leave(SharedStream stream)
    {
        lock (_lock)
        {
            if (--stream.Readers > 0) return;
            if (_streams.GetValueOrDefault(stream.Key) == stream) _streams.Remove(stream.Key);
            stream.Over.Cancel();
        }
        await stream.Pump;
        stream.Over.Dispose();
    }

    private async Task Pump(SharedStream stream, WatchRequest request)
    {
        await Task.Yield();
        var end = new Place(null);
        Exception? failure = null;
        try
        {
            await foreach (var change in inner.Watch(request, stream.Over.Token))
            {
                Place last;
                lock (_lock)
                {
                    last = stream.Last;
                    stream.Last = new(change);
                    if (++stream.Kept > KeptMax) stream.Forget();
                }
                last.Continue(stream.Last);
            }
        }
        catch (Exception e) // each of those who follow gets it as if the stream were its own
        {
            failure = e;
        }
        lock (_lock)
        {
            if (_streams.GetValueOrDefault(stream.Key) == stream) _streams.Remove(stream.Key);
        }
        if (failure is null) stream.Last.Continue(end);
        else stream.Last.Fail(failure);
    }

    /// <summary>An event and what follows it. Who has passed it lets it go.</summary>
    private sealed class Place(WatchEvent? happened)
    {
        private readonly TaskCompletionSource<Place> _next = Completion.New<Place>();

        /// <summary>null: the stream has ended in good order, or (in the first place) not begun.</summary>
        public WatchEvent? Event => happened;
        public Task<Place> Next => _next.Task;

        public void Continue(Place next) => _next.TrySetResult(next);

        public void Fail(Exception failure)
        {
            _next.TrySetException(failure);
            _ = _next.Task.Exception; // seen, also where nobody follows any more
        }
    }

    private sealed class SharedStream(string key, long from)
    {
        public string Key => key;
        public Place First { get; private set; } = new(null);
        public Place Last { get => _last ?? First; set => _last = value; }
        private Place? _last;

        /// <summary>All events after this revision follow <see cref="First"/>.</summary>
        public long Low { get; private set; } = from;
        public int Kept { get; set; }
        public int Readers { get; set; }
        public CancellationTokenSource Over { get; } = new();
        public Task Pump { get; set; } = Task.CompletedTask;

        public void Forget()
        {
            if (!First.Next.IsCompletedSuccessfully) return;
            First = First.Next.Result;
            Low = Math.Max(Low, First.Event?.Revision ?? 0);
            Kept--;
        }
    }
}
