namespace Declarative.ApiServer.Http;

/// <summary>
/// How long watches last that name no time: at least a minimum and less than twice it, so that those that began together do not come again
/// together (kube-apiserver, <c>--min-request-timeout</c>).
/// </summary>
internal sealed class WatchTimes(TimeSpan min, Random random)
{
    public TimeSpan Next()
    {
        lock (random) return min * (1 + random.NextDouble());
    }
}
