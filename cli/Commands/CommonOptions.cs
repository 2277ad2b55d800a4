using System.CommandLine;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Commands;

/// <summary>Options that several commands share; each command makes its own instances.</summary>
internal static class CommonOptions
{
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
        result.Tokens.Count == 0 || (int.TryParse(result.Tokens[0].Value, System.Globalization.NumberStyles.AllowLeadingSign, System.Globalization.CultureInfo.InvariantCulture, out var value) && value >= least && value <= most);

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
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ApiServer.Storage.JournalException or HttpRequestException)
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
