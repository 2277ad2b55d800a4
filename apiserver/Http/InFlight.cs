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

/// <summary>
/// Bounds the requests that are being answered at the same time: fair queues for reads and for writes, of users and, in a lane of their own, of
/// the platform's parts; watches and streams are counted, per user and together. Beyond it: 429 with Retry-After, which clients of Kubernetes obey.
/// </summary>
internal sealed class InFlight(TimeProvider time) : IDisposable
{
    private readonly FairQueue[] _users = Lane("", time, isPaced: true);
    private readonly FairQueue[] _platform = Lane("platform ", time, isPaced: false);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _long = new(StringComparer.Ordinal);
    private int _longs;

    public int Now(RequestClass requests) => requests == RequestClass.Long ? Volatile.Read(ref _longs) : _users[(int)requests].Running + _platform[(int)requests].Running;

    public int Queued(RequestClass requests) => _users[(int)requests].Queued + _platform[(int)requests].Queued;

    /// <summary>A seat for a request that reads or writes; see <see cref="FairQueue.Enter"/>.</summary>
    public ValueTask<FairQueue.Seat> Enter(User user, RequestClass requests, CancellationToken gone) =>
        (IsPlatform(user) ? _platform : _users)[(int)requests].Enter(user.Name, gone);

    /// <summary>A place among what lasts. Throws 429 where there is none.</summary>
    public IDisposable EnterLong(User user)
    {
        lock (_gate)
        {
            var own = _long.GetValueOrDefault(user.Name);
            if (own >= Limits.LongRequestsPerUserMax || _longs >= Limits.LongRequestsMax)
            {
                throw Status.TooManyRequests($"too many watches and streams: at most {Limits.LongRequestsPerUserMax} of one user and {Limits.LongRequestsMax} of all, please try again later", retryAfterSeconds: 1);
            }
            _long[user.Name] = own + 1;
            _longs++;
        }
        return new Place(this, user.Name);
    }

    private static bool IsPlatform(User user) => user.Name == User.ApiServer.Name || user.Groups.Contains(User.Placement.Groups[0]);

    public void Dispose()
    {
        foreach (var queue in _users.Concat(_platform)) queue.Dispose();
    }

    // Reads take the processor and little else; writes wait for the disk together.
    private static FairQueue[] Lane(string whose, TimeProvider time, bool isPaced)
    {
        const int reads = Limits.InFlightReadsMax / Limits.InFlightShare;
        const int writes = Limits.InFlightWritesMax / Limits.InFlightShare;
        return
        [
            new(whose + "reads", Limits.InFlightReadsMax, reads, isPaced ? Math.Max(0.5, Environment.ProcessorCount / 4.0) : double.PositiveInfinity, Limits.QueuedPerUserMax, Limits.QueuedRequestsMax, time),
            new(whose + "writes", Limits.InFlightWritesMax, writes, isPaced ? Math.Max(1, Environment.ProcessorCount / 2.0) : double.PositiveInfinity, Limits.QueuedPerUserMax, Limits.QueuedRequestsMax, time),
        ];
    }

    private void LeaveLong(string user)
    {
        lock (_gate)
        {
            _longs--;
            if (_long[user] == 1) _long.Remove(user);
            else _long[user]--;
        }
    }

    private sealed class Place(InFlight inFlight, string user) : IDisposable
    {
        public void Dispose() => inFlight.LeaveLong(user);
    }
}
