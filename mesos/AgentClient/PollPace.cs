namespace Declarative.Mesos.AgentClient;

/// <summary>How long to wait before looking at a file again: mostly not at all while it grows, longer and longer while it does not.</summary>
internal sealed class PollPace(TimeProvider time)
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Longest = TimeSpan.FromMilliseconds(500);
    private TimeSpan next = Shortest;

    public async Task Wait(bool grew, CancellationToken stop)
    {
        if (grew)
            next = Shortest;
        await Task.Delay(next, time, stop);
        next = next * 2 < Longest ? next * 2 : Longest;
    }
}
