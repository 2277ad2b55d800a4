using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;

namespace Declarative.Dns;

/// <summary>The Mesos masters whose tasks, agents and frameworks are named.</summary>
public sealed record MesosOptions
{
    /// <summary>
    /// <c>http://10.0.0.2:5050</c>, one or several, any of which may redirect to the leading one; or one of
    /// <c>zk://[USER:PASSWORD@]HOST[:2181],…/PATH</c> and <c>file:///PATH</c> (a file that holds one of these).
    /// </summary>
    public required IReadOnlyList<string> Masters { get; init; }

    /// <summary>Whether masters that ZooKeeper names are spoken to by https.</summary>
    public bool Https { get; init; }

    /// <summary>How often the whole state is read where the event stream is refused, and how long to wait at most before another try.</summary>
    public TimeSpan Refresh { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a master may take to answer.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How the masters let us in.</summary>
    public MasterAccess Access { get; init; } = new();

    /// <summary>Looks whether the masters are named in a form that is known.</summary>
    /// <exception cref="FormatException">They are not; says how they are to be named.</exception>
    /// <exception cref="IOException">The file that names them cannot be read.</exception>
    public async Task Check(TimeProvider time)
    {
        await using var masters = MasterDetector.Of(Masters, Https, time);
    }
}
