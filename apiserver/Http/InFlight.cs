using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

internal enum RequestClass
{
    Read,
    Write,

    /// <summary>Watches, log streams: they last, and cost little while nothing happens.</summary>
    Long,
}

/// <summary>Bounds the requests that are being answered at the same time. Beyond it: 429 with Retry-After, which clients of Kubernetes obey.</summary>
internal sealed class InFlight
{
    private static readonly int[] Max = [Limits.InFlightReadsMax, Limits.InFlightWritesMax, Limits.LongRequestsMax];
    private readonly int[] _now = new int[Max.Length];

    public int Now(RequestClass requests) => Volatile.Read(ref _now[(int)requests]);

    public Place Enter(RequestClass requests)
    {
        if (Interlocked.Increment(ref _now[(int)requests]) <= Max[(int)requests]) return new(this, requests);
        Interlocked.Decrement(ref _now[(int)requests]);
        throw Status.TooManyRequests($"too many requests in flight ({requests switch { RequestClass.Read => "reads", RequestClass.Write => "writes", _ => "watches" }}: at most {Max[(int)requests]}), please try again later", retryAfterSeconds: 1);
    }

    public readonly struct Place(InFlight inFlight, RequestClass requests) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref inFlight._now[(int)requests]);
    }
}
