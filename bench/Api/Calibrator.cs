using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Data.Sqlite;

namespace Declarative.Bench.Api;

/// <summary>
/// What this machine gives in the same run, so that figures of different machines can be compared: durable puts per second of Debian's
/// etcd by <c>hey</c> (packages etcd-server and hey), and one-row commits per second of SQLite itself.
/// </summary>
internal static class Calibrator
{
    private const int Puts = 6000;

    /// <summary>Puts of 1.4 KB of JSON per second by number of clients; null where a program is missing.</summary>
    public static async Task<IReadOnlyDictionary<int, double>?> Etcd(IReadOnlyList<int> clients)
    {
        if (Program("etcd") is not { } etcd || Program("hey") is not { } hey) return null;
        var folder = Directory.CreateTempSubdirectory("declarative-bench-etcd-").FullName;
        var (client, peer) = (FreePort(), FreePort());
        using var server = Process.Start(new ProcessStartInfo(etcd,
            ["--data-dir", Path.Combine(folder, "data"), "--listen-client-urls", Url(client), "--advertise-client-urls", Url(client), "--listen-peer-urls", Url(peer),
                "--initial-advertise-peer-urls", Url(peer), "--initial-cluster", $"default={Url(peer)}"])
            { UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true })!;
        server.ErrorDataReceived += static (_, _) => { };
        server.OutputDataReceived += static (_, _) => { };
        server.BeginErrorReadLine();
        server.BeginOutputReadLine();
        try
        {
            await UntilHealthy(Url(client), server);
            var body = Path.Combine(folder, "put.json");
            await File.WriteAllTextAsync(body, $$"""{"key":"{{Convert.ToBase64String("bench"u8)}}","value":"{{Convert.ToBase64String(Encoding.ASCII.GetBytes(new string('x', 1010)))}}"}""");
            var rates = new Dictionary<int, double>();
            foreach (var count in clients) rates[count] = await Hey(hey, count, body, Url(client) + "/v3/kv/put");
            return rates;
        }
        finally
        {
            if (!server.HasExited) server.Kill();
            await server.WaitForExitAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Commits per second of one row of 1 KB, in WAL mode with <c>synchronous=FULL</c> as the journal has it.</summary>
    public static double SqliteCommits(double seconds)
    {
        var folder = Directory.CreateTempSubdirectory("declarative-bench-sqlite-").FullName;
        try
        {
            using var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = Path.Combine(folder, "bench.db"), Pooling = false }.ToString());
            connection.Open();
            Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE row (id INTEGER PRIMARY KEY, value BLOB)");
            using var insert = connection.CreateCommand();
            insert.CommandText = "INSERT INTO row (value) VALUES ($value)";
            insert.Parameters.AddWithValue("$value", new byte[1024]);
            var started = Stopwatch.GetTimestamp();
            var commits = 0;
            for (; Stopwatch.GetElapsedTime(started).TotalSeconds < seconds; commits++) insert.ExecuteNonQuery();
            return commits / Stopwatch.GetElapsedTime(started).TotalSeconds;

            void Run(string text)
            {
                using var command = connection.CreateCommand();
                command.CommandText = text;
                command.ExecuteNonQuery();
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<double> Hey(string program, int clients, string body, string url)
    {
        using var hey = Process.Start(new ProcessStartInfo(program, ["-n", $"{Puts}", "-c", $"{clients}", "-m", "POST", "-T", "application/json", "-D", body, url]) { UseShellExecute = false, RedirectStandardOutput = true })!;
        var said = await hey.StandardOutput.ReadToEndAsync();
        await hey.WaitForExitAsync();
        var line = said.Split('\n').FirstOrDefault(x => x.Contains("Requests/sec:", StringComparison.Ordinal));
        if (line is null || !said.Contains("[200]", StringComparison.Ordinal)) throw new IOException($"hey did not measure etcd: {said}");
        return double.Parse(line.Split(':')[1].Trim(), CultureInfo.InvariantCulture);
    }

    private static async Task UntilHealthy(string url, Process server)
    {
        using var http = new HttpClient();
        for (var tries = 0; tries < 200 && !server.HasExited; tries++)
        {
            try
            {
                if ((await http.GetStringAsync(url + "/health")).Contains("true", StringComparison.Ordinal)) return;
            }
            catch (HttpRequestException)
            {
                // Not up yet.
            }
            await Task.Delay(100);
        }
        throw new IOException("etcd did not come up");
    }

    private static string? Program(string name) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(p => Path.Combine(p, name)).FirstOrDefault(File.Exists);

    private static string Url(int port) => $"http://127.0.0.1:{port}";

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
