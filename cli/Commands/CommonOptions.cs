using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Commands;

/// <summary>Options that several commands share; each command makes its own instances.</summary>
internal static class CommonOptions
{
    /// <summary>What the embedded agents offer (architecture.md, decision 13).</summary>
    private static readonly (int First, int Last) TaskPorts = (31000, 32000);
    private static readonly string[] Levels = ["trace", "debug", "info", "warning", "error", "none"];

    public static Option<string> Data() => new("--data") { Description = "Directory of the platform's state, credentials and sandboxes", HelpName = "DIR", DefaultValueFactory = _ => ".declarative" };

    public static Option<int> PortOffset()
    {
        var option = new Option<int>("--port-offset") { Description = "Added to every default port, so that several platforms run side by side", HelpName = "N", DefaultValueFactory = _ => 0 };
        option.Validators.Add(result =>
        {
            if (!IsWithin(result, 0, 50000)) result.AddError("--port-offset: expected a number from 0 to 50000");
        });
        return option;
    }

    /// <summary>Cluster IPs: an IPv4 network.</summary>
    public static Option<string> ClusterIps()
    {
        var option = new Option<string>("--service-cluster-ip-range") { Description = "Cluster IPs of Services; platforms of one machine need different ones where they are used", HelpName = "CIDR", DefaultValueFactory = _ => "127.64.0.0/12" };
        option.Validators.Add(result =>
        {
            var text = result.GetValueOrDefault<string>();
            if (!IPNetwork.TryParse(text, out var network) || network.BaseAddress.AddressFamily != AddressFamily.InterNetwork || network.PrefixLength is < 8 or > 27)
                result.AddError($"--service-cluster-ip-range {text}: expected an IPv4 network of /8 to /27, for example 127.64.0.0/12");
        });
        return option;
    }

    public static Option<string> NodePorts()
    {
        var option = new Option<string>("--service-node-port-range") { Description = "Node ports of Services; must not touch the ports of tasks, 31000-32000", HelpName = "FIRST-LAST", DefaultValueFactory = _ => "30000-30999" };
        option.Validators.Add(result =>
        {
            var text = result.GetValueOrDefault<string>();
            if (PortRange(text) is not var (first, last)) result.AddError($"--service-node-port-range {text}: expected FIRST-LAST within 1-65535, for example 30000-30999");
            else if (first <= TaskPorts.Last && last >= TaskPorts.First) result.AddError($"--service-node-port-range {text}: touches the ports of tasks, {TaskPorts.First}-{TaskPorts.Last}");
        });
        return option;
    }

    /// <summary>null where the text is no FIRST-LAST.</summary>
    public static (int First, int Last)? PortRange(string? text) =>
        text?.Split('-') is [var a, var b]
        && int.TryParse(a, NumberStyles.None, CultureInfo.InvariantCulture, out var first) && int.TryParse(b, NumberStyles.None, CultureInfo.InvariantCulture, out var last)
        && first >= 1 && last <= IPEndPoint.MaxPort && first <= last ? (first, last) : null;

    public static Option<string> LogLevel()
    {
        var option = new Option<string>("--log-level") { Description = "trace, debug, info, warning, error or none", HelpName = "LEVEL", DefaultValueFactory = _ => "warning" };
        option.Validators.Add(result =>
        {
            var level = result.GetValueOrDefault<string>();
            if (!Levels.Contains(level)) result.AddError($"--log-level {level}: expected one of {string.Join(", ", Levels)}");
        });
        return option;
    }

    /// <summary>False for a word that is no number, too: asking the result for its value would throw then.</summary>
    public static bool IsWithin(System.CommandLine.Parsing.OptionResult result, int least, int most) =>
        result.Tokens.Count == 0 || (int.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most);

    public static ILoggerFactory Loggers(string level) => LoggerFactory.Create(logging =>
    {
        logging.SetMinimumLevel(level switch { "info" => Microsoft.Extensions.Logging.LogLevel.Information, _ => Enum.Parse<LogLevel>(level, ignoreCase: true) });
        // Kestrel and YARP tell at their information level what only somebody who debugs them wants to know.
        if (level is not ("trace" or "debug"))
        {
            logging.AddFilter("Microsoft", Microsoft.Extensions.Logging.LogLevel.Warning);
            logging.AddFilter("Yarp", Microsoft.Extensions.Logging.LogLevel.Warning);
        }
        logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
        });
    });

    /// <summary>The bulkhead of a command: what the user can mend is one line on stderr.</summary>
    public static async Task<int> Guard(Func<Task<int>> command)
    {
        try
        {
            return await command();
        }
        catch (UsageException e)
        {
            await Console.Error.WriteLineAsync($"declarative: {e.Message}");
            return 2;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or Client.Http.KubeconfigException or UnauthorizedAccessException or ApiServer.Storage.JournalException or ApiServer.Http.Audit.AuditPolicyException or HttpRequestException)
        {
            await Console.Error.WriteLineAsync($"declarative: {e.Message}");
            return 1;
        }
        catch (Api.ApiException e)
        {
            await Console.Error.WriteLineAsync($"Error from server ({e.Status.Reason}): {e.Message}");
            return 1;
        }
    }
}
