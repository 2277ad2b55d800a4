namespace Declarative.ApiServer.Storage;

/// <summary>
/// Of a thread that carries on with many requests in turn: what it does for all that has come, until each request waits for something. What they have queued
/// meanwhile is begun together at the end of the round, and what waited for it goes on in the thread that it came from.
/// </summary>
internal abstract class Round
{
    [ThreadStatic] private static Round? Entered;

    /// <summary>Of this thread; null in threads of another kind, where what is queued is begun at once.</summary>
    public static Round? Current => Entered;

    /// <summary>The calling thread is this round's from now on.</summary>
    public void Enter() => Entered = this;

    /// <summary>In the round's thread: once at its end, however often it is asked for.</summary>
    public abstract void AtEnd(Action action);

    /// <summary>From any thread: in the round's thread, at its next end.</summary>
    public abstract void Post(Action<object> goOn, object state);

    /// <summary>From any thread: in the round's thread, one at the end of each round, when the others have had what they wait for.</summary>
    public abstract void PostLast(Action<object> goOn, object state);
}
