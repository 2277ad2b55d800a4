using Microsoft.Extensions.Logging;

namespace Declarative.Client.Http;

/// <summary>
/// Whether a server answers. Many views, leases and reports share one connection and all of them fail with it: its end and its return are
/// told once, here.
/// </summary>
internal sealed class Reach
{
    private readonly Lock _gate = new();
    private volatile bool _lost;
    private long _since;

    public void Lost(ILogger logger, Uri server, TimeProvider time, string why)
    {
        lock (_gate)
        {
            if (_lost) return;
            _since = time.GetTimestamp();
            _lost = true;
        }
        Log.OutOfReach(logger, server, why);
    }

    public void Answered(ILogger logger, Uri server, TimeProvider time)
    {
        if (!_lost) return;
        double seconds;
        lock (_gate)
        {
            if (!_lost) return;
            seconds = time.GetElapsedTime(_since).TotalSeconds;
            _lost = false;
        }
        Log.Back(logger, server, seconds);
    }
}
