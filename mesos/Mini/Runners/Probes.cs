using System.Net.Sockets;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>The looks that health checks and checks take at a task from outside. Each ends within its time-out.</summary>
internal static class Probes
{
    /// <returns>The status code, or null when there was no answer in time.</returns>
    public static async Task<int?> Http(string scheme, string host, int port, string path, TimeSpan timeout, TimeProvider time, CancellationToken stop)
    {
        using var late = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stop);
        try
        {
            var uri = new Uri($"{scheme}://{host}:{port}{(path.StartsWith('/') ? path : "/" + path)}");
            using var http = Client();
            using var response = await http.GetAsync(uri, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return (int)response.StatusCode;
        }
        catch (Exception failed) when (failed is HttpRequestException or OperationCanceledException or UriFormatException)
        {
            stop.ThrowIfCancellationRequested();
            return null;
        }
    }

    public static async Task<bool> Tcp(string host, int port, TimeSpan timeout, TimeProvider time, CancellationToken stop)
    {
        using var late = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(late.Token, stop);
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(host, port, either.Token);
            return true;
        }
        catch (Exception failed) when (failed is SocketException or OperationCanceledException)
        {
            stop.ThrowIfCancellationRequested();
            return false;
        }
    }

    // One per probe: a pool would keep connections open to the task, or open one too many, and a probe is to see whether a new one is served.
    // It follows no redirect (they count as success) and does not ask who signed a certificate.
    private static HttpClient Client() =>
        new(
            new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                UseProxy = false,
                UseCookies = false,
                SslOptions = { RemoteCertificateValidationCallback = static (_, _, _, _) => true },
            }
        )
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
}
