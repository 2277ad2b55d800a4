using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Declarative.Dns.Wire;

namespace Declarative.Bench.Dns;

/// <summary>Load by dnsperf: another process, so that this one's CPU time is the server's.</summary>
internal static class Dnsperf
{
    private const int Questions = 100_000;

    /// <param name="server">Who is asked.</param>
    /// <param name="type">What for.</param>
    /// <param name="name">The n-th question's name.</param>
    /// <param name="seconds">How long.</param>
    /// <param name="cpuTime">CPU time that the server has used so far.</param>
    public static Load.Result Run(IPEndPoint server, RecordType type, Func<int, string> name, int seconds, Func<TimeSpan> cpuTime)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllLines(file, Enumerable.Range(0, Questions).Select(i => $"{name(i * 7919)} {type.ToString().ToUpperInvariant()}"));
            var cpu = cpuTime();
            using var process = Process.Start(new ProcessStartInfo("dnsperf", ["-s", server.Address.ToString(), "-p", $"{server.Port}", "-d", file, "-l", $"{seconds}", "-e", "-c", "8", "-T", "2", "-q", "200"])
            {
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
            var text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            var used = (cpuTime() - cpu).TotalSeconds;
            var completed = double.Parse(Number("Queries completed").Match(text).Groups[1].Value, CultureInfo.InvariantCulture);
            var rate = double.Parse(Number("Queries per second").Match(text).Groups[1].Value, CultureInfo.InvariantCulture);
            var lost = long.Parse(Number("Queries lost").Match(text).Groups[1].Value, CultureInfo.InvariantCulture);
            return new Load.Result(rate, double.NaN, double.NaN, used * 1e6 / completed, lost);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static Regex Number(string label) => new(Regex.Escape(label) + @":\s+([0-9.]+)", RegexOptions.None, TimeSpan.FromSeconds(1));
}
