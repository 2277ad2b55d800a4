using System.Globalization;
using System.Text.RegularExpressions;

namespace Declarative.Bench.Lb;

/// <summary>What a client has seen. Times in microseconds.</summary>
internal sealed record Sample(long Requests, long Failures, double PerSecond, double P50, double P99)
{
    /// <summary>Of the first failures what is known of each; "" where there is none.</summary>
    public string Reasons { get; init; } = "";

    public static Sample Of(List<double> times, long failures, TimeSpan time)
    {
        times.Sort();
        double At(double share) => times.Count == 0 ? 0 : times[(int)Math.Min(times.Count - 1, times.Count * share)];
        return new(times.Count, failures, times.Count / time.TotalSeconds, At(0.5), At(0.99));
    }
}

/// <summary>Load generators of Debian's packages: <c>wrk</c> as fast as it goes, <c>h2load</c> at a rate and for HTTP/2.</summary>
internal static partial class Clients
{
    private const int ReasonsMax = 3;

    public static Sample Wrk(string url, int connections, int seconds, params string[] more)
    {
        var text = Child.Run("wrk", ["-t1", $"-c{connections}", $"-d{seconds}s", "--latency", .. more, url]);
        var count = long.Parse(WrkCount().Match(text).Groups[1].Value, CultureInfo.InvariantCulture);
        var failed = WrkFailed().Matches(text).SelectMany(x => x.Groups.Cast<Group>().Skip(1)).Where(x => x.Success).Sum(x => long.Parse(x.Value, CultureInfo.InvariantCulture));
        return new(count, failed, double.Parse(WrkRate().Match(text).Groups[1].Value, CultureInfo.InvariantCulture), Micros(text, "50%"), Micros(text, "99%"));
    }

    /// <param name="rate">Requests per second, spread over the connections; 0 = as fast as it goes.</param>
    public static Sample H2Load(string url, int connections, int seconds, double rate, params string[] more)
    {
        var file = Path.GetTempFileName();
        try
        {
            // At a rate the connections are warm when it is measured: the first requests on new ones would be more than one in a hundred, and so the whole p99.
            string[] at = rate > 0 ? ["--rps", (rate / connections).ToString("F2", CultureInfo.InvariantCulture), "--warm-up-time=1"] : [];
            var text = Child.Run("h2load", ["-t1", $"-c{connections}", $"-D{seconds}", "--log-file", file, .. at, .. more, url]);
            var rows = File.ReadLines(file).Select(Row.Read).ToList();
            var begin = rows.Count == 0 ? 0 : rows.Min(x => x.End);
            // It notes no status before it measures: where the head of an answer came then and its end later, 0 stands for it.
            rows.RemoveAll(x => x.Status == 0 && x.Begin < begin);
            var good = rows.Where(x => x.Status == 200).Select(x => x.Micros).ToList();
            if (good.Count == 0) throw new InvalidOperationException($"h2load had no answer from {url}:\n{text}");
            var bad = rows.Where(x => x.Status != 200).Select(x => x.Reason(begin)).ToList();
            return Sample.Of(good, bad.Count, TimeSpan.FromSeconds(seconds)) with { Reasons = string.Join(", ", bad.Take(ReasonsMax)) };
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>One line of h2load's log: when the request began (microseconds since 1970), the status (-1 = the stream or its connection has failed), how long it took.</summary>
    private sealed record Row(double Begin, int Status, double Micros)
    {
        public double End => Begin + Micros;

        public static Row Read(string line)
        {
            var words = line.Split('\t');
            return new(double.Parse(words[0], CultureInfo.InvariantCulture), int.Parse(words[1], CultureInfo.InvariantCulture), double.Parse(words[2], CultureInfo.InvariantCulture));
        }

        public string Reason(double begin) =>
            string.Create(CultureInfo.InvariantCulture, $"{(Status < 0 ? "no whole answer" : $"status {Status}")}, begun {(Begin - begin) / 1e6:F3} s after the first answer, {Micros / 1e3:F1} ms long");
    }

    private static double Micros(string text, string percentile)
    {
        var match = Regex.Match(text, Regex.Escape(percentile) + @"\s+([\d.]+)(us|ms|s)");
        var unit = match.Groups[2].Value switch { "us" => 1, "ms" => 1e3, _ => 1e6 };
        return double.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture) * unit;
    }

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex WrkCount();

    [GeneratedRegex(@"Requests/sec:\s+([\d.]+)")]
    private static partial Regex WrkRate();

    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)|connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex WrkFailed();
}
