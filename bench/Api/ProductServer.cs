using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Declarative.Bench.Api;

/// <summary><c>declarative apiserver</c> as users start it, in a process of its own.</summary>
internal sealed class ProductServer : IDisposable
{
    private readonly Process _process;

    private ProductServer(Process process, string directory, double readySeconds)
    {
        (_process, Kubeconfig, ReadySeconds) = (process, Path.Combine(directory, "kubeconfig"), readySeconds);
        process.Refresh();
        ReadyCpuSeconds = process.TotalProcessorTime.TotalSeconds;
    }

    public string Kubeconfig { get; }

    /// <summary>From the start of the process until <c>/readyz</c> answers 200.</summary>
    public double ReadySeconds { get; }

    /// <summary>Processor time it had used then.</summary>
    public double ReadyCpuSeconds { get; }

    public double ResidentMiB
    {
        get
        {
            _process.Refresh();
            return _process.WorkingSet64 / 1048576.0;
        }
    }

    /// <summary>The most that was resident since <see cref="ForgetPeak"/>; Linux.</summary>
    public double PeakMiB => double.Parse(File.ReadLines($"/proc/{_process.Id}/status").First(x => x.StartsWith("VmHWM:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;

    /// <summary>proc(5), clear_refs.</summary>
    public void ForgetPeak() => File.WriteAllText($"/proc/{_process.Id}/clear_refs", "5");

    public static async Task<ProductServer> Start(string directory)
    {
        var port = FreePort();
        var program = Path.Combine(AppContext.BaseDirectory, "declarative.dll");
        var started = Stopwatch.GetTimestamp();
        var process = Process.Start(new ProcessStartInfo("dotnet", ["exec", program, "apiserver", "--data", directory, "--port-offset", (port - 6443).ToString(CultureInfo.InvariantCulture)]) { UseShellExecute = false, RedirectStandardOutput = true })!;
        using var client = new HttpClient(new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, _, _, _) => true } });
        while (!await IsReady(client, new Uri($"https://127.0.0.1:{port}/readyz")))
        {
            if (process.HasExited) throw new IOException("the server did not start");
            await Task.Delay(5);
        }
        return new(process, directory, Stopwatch.GetElapsedTime(started).TotalSeconds);
    }

    /// <summary>By SIGTERM, as a user stops it.</summary>
    public void Dispose()
    {
        using (var kill = Process.Start("kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)])) kill.WaitForExit();
        if (!_process.WaitForExit(TimeSpan.FromSeconds(20))) _process.Kill();
        _process.Dispose();
    }

    private static async Task<bool> IsReady(HttpClient client, Uri url)
    {
        try
        {
            using var answer = await client.GetAsync(url);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
