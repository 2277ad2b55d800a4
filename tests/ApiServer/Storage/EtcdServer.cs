using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Declarative.ApiServer.Storage.Etcd;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.ApiServer.Storage;

/// <summary>A real etcd in a folder and on ports of its own, that can be killed and started again.</summary>
public sealed class EtcdServer : IAsyncLifetime
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("declarative-etcd-");
    private readonly int _port = FreePort();
    private readonly int _peers = FreePort();
    private Process? _process;

    /// <summary>More arguments of etcd; before the start.</summary>
    public IReadOnlyList<string> Arguments { get; init; } = [];

    public string Scheme { get; init; } = "http";

    public Uri Url => new($"{Scheme}://127.0.0.1:{_port}");

    public static bool IsInstalled => Program.Length > 0;

    private static string Program { get; } = new[] { "/usr/bin/etcd", "/usr/local/bin/etcd" }.FirstOrDefault(File.Exists) ?? "";

    /// <summary>Options with a prefix that nobody else has.</summary>
    public EtcdOptions Options(string? prefix = null) => new([Url]) { Prefix = prefix ?? "/" + Guid.NewGuid().ToString("N") };

    public Task<EtcdJournal> Journal(EtcdOptions options) => EtcdJournal.Open(options, NullLogger.Instance, CancellationToken.None);

    public async ValueTask InitializeAsync()
    {
        if (IsInstalled) await Start();
    }

    public static void SkipUnlessInstalled() => Assert.SkipUnless(IsInstalled, "etcd is not installed (Debian: etcd-server)");

    /// <summary>Completes when it listens.</summary>
    public async Task Start()
    {
        var start = new ProcessStartInfo(Program) { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true };
        foreach (var argument in (string[])
        [
            "--name", "test", "--data-dir", Path.Combine(_directory.FullName, "data"),
            "--listen-client-urls", Url.ToString().TrimEnd('/'), "--advertise-client-urls", Url.ToString().TrimEnd('/'),
            "--listen-peer-urls", $"http://127.0.0.1:{_peers}", "--initial-advertise-peer-urls", $"http://127.0.0.1:{_peers}", "--initial-cluster", $"test=http://127.0.0.1:{_peers}",
            "--heartbeat-interval", "20", "--election-timeout", "200", .. Arguments,
        ]) start.ArgumentList.Add(argument);
        _process = Process.Start(start)!;
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        for (var tries = 0; ; tries++)
        {
            using var socket = new TcpClient();
            try
            {
                await socket.ConnectAsync(IPAddress.Loopback, _port);
                return;
            }
            catch (SocketException) when (tries < 300 && !_process.HasExited)
            {
                await Task.Delay(50);
            }
        }
    }

    public async Task Kill()
    {
        if (_process is not { } process) return;
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        await Kill();
        _directory.Delete(recursive: true);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
