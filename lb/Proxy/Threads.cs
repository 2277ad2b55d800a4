namespace Declarative.Lb.Proxy;

/// <summary>Real threads, for what is one seeded thread in the simulated world.</summary>
internal static class Threads
{
    public static Task Run(Func<Task> work) => Task.Run(work);
}
