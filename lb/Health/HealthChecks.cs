using System.Net.Sockets;
using System.Text;
using Declarative.Lb.Routes;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Health;

/// <summary>
/// Asks endpoints whether they work, where their Service's settings say so. An endpoint that others say is ready is taken for working until it
/// has failed <see cref="HealthSettings.Fall"/> times in a row.
/// </summary>
internal sealed class HealthChecks(Func<RouteTable> table)
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(50);

    /// <summary>While there is nothing to check.</summary>
    private static readonly TimeSpan IdleStep = TimeSpan.FromSeconds(1);

    /// <summary>Of one answer's first line: "HTTP/1.1 200".</summary>
    private const int StatusLineBytes = 12;

    private readonly Dictionary<Destination, Task> _running = [];

    /// <summary>Returns when stopped and all checks have ended.</summary>
    public async Task Run(CancellationToken stop)
    {
        try
        {
            while (true)
            {
                Start(stop);
                await Task.Delay(_running.Count > 0 || table().CheckedClusters.Any() ? Step : IdleStep, stop);
            }
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(_running.Values);
        }
    }

    private void Start(CancellationToken stop)
    {
        foreach (var ended in _running.Where(x => x.Value.IsCompleted).Select(x => x.Key).ToList()) _running.Remove(ended);
        foreach (var cluster in table().CheckedClusters)
        {
            if (cluster.Settings.Health is not { } settings) continue; // changed meanwhile
            var now = Environment.TickCount64;
            foreach (var destination in cluster.Ready)
            {
                if (destination.Health.CheckDue > now || _running.ContainsKey(destination)) continue;
                destination.Health.CheckDue = now + (long)settings.Interval.TotalMilliseconds;
                _running[destination] = Check(destination, settings, stop);
            }
        }
    }

    private static async Task Check(Destination destination, HealthSettings settings, CancellationToken stop)
    {
        var works = await Ask(destination, settings, stop);
        var health = destination.Health;
        if (works != health.IsDown)
        {
            health.Against = 0;
            return;
        }
        if (++health.Against < (works ? settings.Rise : settings.Fall)) return;
        health.Against = 0;
        health.IsDown = !works;
    }

    private static async Task<bool> Ask(Destination destination, HealthSettings settings, CancellationToken stop)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(settings.Timeout);
        using var socket = new Socket(destination.EndPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            var port = settings.Port > 0 ? settings.Port : destination.HealthPort > 0 ? destination.HealthPort : destination.Port;
            await socket.ConnectAsync(new System.Net.IPEndPoint(destination.EndPoint.Address, port), limit.Token);
            if (settings.Path.Length == 0) return true;
            await socket.SendAsync(Encoding.ASCII.GetBytes($"GET {settings.Path} HTTP/1.1\r\nHost: {destination.EndPoint}\r\nUser-Agent: declarative-lb\r\nConnection: close\r\n\r\n"), limit.Token);
            var head = new byte[StatusLineBytes];
            for (var count = 0; count < head.Length;)
            {
                var got = await socket.ReceiveAsync(head.AsMemory(count), limit.Token);
                if (got == 0) return false;
                count += got;
            }
            return head.AsSpan().StartsWith("HTTP/1."u8) && head[9] is (byte)'2' or (byte)'3';
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            // Stopped: what is known stays.
            return stop.IsCancellationRequested ? !destination.Health.IsDown : false;
        }
    }
}
