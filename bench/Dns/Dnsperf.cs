using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Declarative.Dns.Wire;

namespace Declarative.Bench.Dns;

/// <summary>Load by dnsperf: another process, so that this one's CPU time is the server's.</summary>
internal sealed class Dnsperf : IDisposable
{
    private const int Questions = 100_000;
    private readonly string _file = Path.GetTempFileName();

    /// <param name="type">What for.</param>
    /// <param name="name">The n-th question's name.</param>
    public Dnsperf(RecordType type, Func<int, string> name) =>
        File.WriteAllLines(_file, Enumerable.Range(0, Questions).Select(i => $"{name(i * 7919)} {type.ToString().ToUpperInvariant()}"));

    public static bool IsInstalled => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(p => File.Exists(Path.Combine(p, "dnsperf")));

    public void Dispose() => File.Delete(_file);

    /// <param name="server">Who is asked.</param>
    /// <param name="length">How long, in whole seconds.</param>
    /// <param name="cpuTime">CPU time that the server has used so far.</param>
    public Load.Result Run(IPEndPoint server, TimeSpan length, Func<TimeSpan> cpuTime)
    {
        var cpu = cpuTime();
        using var process = Process.Start(new ProcessStartInfo("dnsperf", ["-s", server.Address.ToString(), "-p", $"{server.Port}", "-d", _file, "-l", $"{length.TotalSeconds:0}", "-e", "-c", "8", "-T", "2", "-q", "200"])
        {
            RedirectStandardOutput = true,
            UseShellExecute = false,
        })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        var used = (cpuTime() - cpu).TotalSeconds;
        var completed = Number("Queries completed");
        return new Load.Result(Number("Queries per second"), double.NaN, double.NaN, used * 1e6 / completed, (long)Number("Queries lost"));

        double Number(string label) =>
            Regex.Match(text, Regex.Escape(label) + @":\s+([0-9.]+)", RegexOptions.None, TimeSpan.FromSeconds(1)) is { Success: true } found
                ? double.Parse(found.Groups[1].Value, CultureInfo.InvariantCulture)
                : throw new InvalidOperationException($"dnsperf did not say \"{label}\": {text}");
    }
}
