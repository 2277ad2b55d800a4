using System.Collections.Concurrent;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Http.Transport;

/// <summary>The rounds of a <see cref="ConnectionLoop"/>.</summary>
/// <param name="ring">Makes the loop's thread come to an end of a round; false where it has ended for good.</param>
internal sealed class LoopRound(Func<bool> ring) : Round
{
    private readonly List<Action> _ends = []; // of the thread alone
    private readonly ConcurrentQueue<Posted> _posts = new();
    private readonly ConcurrentQueue<Posted> _last = new();

    public override void AtEnd(Action action)
    {
        if (!_ends.Contains(action)) _ends.Add(action);
    }

    public override void Post(Action<object> goOn, object state) => Add(_posts, new(goOn, state));

    public override void PostLast(Action<object> goOn, object state) => Add(_last, new(goOn, state));

    /// <summary>In the thread: there is something for another end, which nobody rings for.</summary>
    public bool HasMore => _ends.Count > 0 || !_posts.IsEmpty || !_last.IsEmpty;

    /// <summary>
    /// In the thread: nothing else is left to do for now. What the posts ask for comes at the next end, after the news of others: a connection whose every
    /// answer lets the next write in would keep the thread else. Of those that go last one is gone on with: the next comes after another look for news.
    /// </summary>
    public void End()
    {
        while (_ends.Count > 0)
        {
            var action = _ends[^1];
            _ends.RemoveAt(_ends.Count - 1);
            action();
        }
        // What others post meanwhile they ring for.
        for (var left = _posts.Count; left > 0 && _posts.TryDequeue(out var post); left--) post.GoOn(post.State);
        if (_last.TryDequeue(out var last)) last.GoOn(last.State);
    }

    /// <summary>Once the thread has ended: what is left goes on in the thread pool.</summary>
    public void Leave()
    {
        while (_posts.TryDequeue(out var post) || _last.TryDequeue(out post)) ThreadPool.UnsafeQueueUserWorkItem(static x => x.GoOn(x.State), post, preferLocal: false);
    }

    private void Add(ConcurrentQueue<Posted> posts, Posted post)
    {
        posts.Enqueue(post);
        // Its own thread comes by anyway.
        if (Current != this && !ring()) Leave();
    }

    private readonly record struct Posted(Action<object> GoOn, object State);
}
