using System.CommandLine;
using System.Globalization;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative top services</c>: what each Service's port gets and gives now, from the statistics of a balancer.</summary>
internal static class TopCommand
{
    private const string Clear = "\u001b[H\u001b[2J";

    public static Command Make(Machine machine)
    {
        var what = new Argument<string>("what") { Description = "services", HelpName = "services" };
        what.AcceptOnlyFromAmong("services");
        var admin = new Option<string>("--admin") { Description = "The balancer's admin port; default: http://127.0.0.1:9090 plus the offset", HelpName = "URL", DefaultValueFactory = _ => "" };
        var offset = CommonOptions.PortOffset();
        var interval = new Option<double>("--interval") { Description = "Seconds between two looks", HelpName = "SECONDS", DefaultValueFactory = _ => 2 };
        var once = new Option<bool>("--once") { Description = "Print one table over one interval and end" };
        var command = new Command("top", "Show what the load balancer's services are doing.") { what, admin, offset, interval, once };
        command.SetAction(async (parsed, stop) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var url = parsed.GetValue(admin) is { Length: > 0 } given ? given.TrimEnd('/') : $"http://127.0.0.1:{new Ports(parsed.GetValue(offset)).LbAdmin}";
            if (parsed.GetValue(interval) is not (>= 0.1 and <= 3600) || !Uri.TryCreate(url, UriKind.Absolute, out _))
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync("error: --interval is 0.1–3600 seconds, --admin a URL as http://127.0.0.1:9090");
                return 1;
            }
            var every = TimeSpan.FromSeconds(parsed.GetValue(interval));
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            try
            {
                var before = await Look();
                while (true)
                {
                    await Task.Delay(every, machine.Time, stop);
                    var now = await Look();
                    await output.WriteAsync((parsed.GetValue(once) ? "" : Clear) + Text(before, now, every));
                    if (parsed.GetValue(once)) return 0;
                    before = now;
                }
            }
            catch (HttpRequestException e)
            {
                await parsed.InvocationConfiguration.Error.WriteLineAsync($"error: {url}: {e.Message}; is a balancer running there?");
                return 1;
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return 0;
            }

            Task<string> Look() => http.GetStringAsync(url + "/haproxy?stats;csv", stop);
        });
        return command;
    }

    /// <summary>The busiest first.</summary>
    /// <param name="before">Statistics in HAProxy's columns, and the same after <paramref name="between"/>.</param>
    internal static string Text(string before, string now, TimeSpan between)
    {
        var earlier = Read(before).ToDictionary(x => x.Name, StringComparer.Ordinal);
        var lines = new List<string[]> { (string[])["SERVICE", "READY", "IN-FLIGHT", "PER-SECOND", "TOTAL", "2XX", "4XX", "5XX", "RETRIES", "FAILED", "REFUSED"] };
        foreach (var (row, rate) in Read(now).Select(x => (x, earlier.TryGetValue(x.Name, out var was) ? Math.Max(0, x.Total - was.Total) / between.TotalSeconds : 0)).OrderByDescending(x => x.Item2).ThenBy(x => x.x.Name, StringComparer.Ordinal))
        {
            lines.Add([row.Name, Number(row.Ready), Number(row.InFlight), rate.ToString("F1", CultureInfo.InvariantCulture), Number(row.Total), .. row.Others.Select(Number)]);
        }
        var widths = Enumerable.Range(0, lines[0].Length).Select(x => lines.Max(y => y[x].Length)).ToArray();
        return string.Concat(lines.Select(x => string.Join("   ", x.Select((cell, i) => i == 0 ? cell.PadRight(widths[i]) : cell.PadLeft(widths[i]))) + "\n"));
    }

    private static IEnumerable<Row> Read(string csv)
    {
        var lines = csv.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || !lines[0].StartsWith("# ", StringComparison.Ordinal)) yield break;
        var columns = lines[0][2..].Split(',');
        foreach (var cells in lines[1..].Select(x => x.Split(',')).Where(x => x.Length == columns.Length && Cell(x, "svname") == "BACKEND"))
        {
            yield return new(Cell(cells, "pxname"), Count("act"), Count("scur"), Count("stot"), [Count("hrsp_2xx"), Count("hrsp_4xx"), Count("hrsp_5xx"), Count("wretr"), Count("econ"), Count("dreq")]);

            long Count(string column) => long.TryParse(Cell(cells, column), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
        }

        string Cell(string[] cells, string column) => Array.IndexOf(columns, column) is var at and >= 0 ? cells[at] : "";
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private readonly record struct Row(string Name, long Ready, long InFlight, long Total, long[] Others);
}
