using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Declarative.Sim;
using Microsoft.Extensions.Logging.Abstractions;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative simulate</c>: the whole platform in seeded worlds of one thread, with faults and checkers.</summary>
internal static class SimulateCommand
{
    private const int NotesShown = 60;

    public static Command Make(Machine machine)
    {
        var seed = new Option<int>("--seed") { Description = "The first seed", HelpName = "S", DefaultValueFactory = _ => 1 };
        var seeds = new Option<int>("--seeds") { Description = "How many seeds, from the first one on", HelpName = "N", DefaultValueFactory = _ => 10 };
        var turmoil = new Option<TimeSpan>("--for")
        {
            Description = "Simulated time with faults, for example 90s, 10m or 1h; the time to come to rest follows",
            HelpName = "TIME",
            DefaultValueFactory = _ => TimeSpan.FromMinutes(10),
            CustomParser = result => ReadTime(result.Tokens[0].Value) ?? Refuse(result, "expected a time such as 90s, 10m or 1h"),
        };
        var jobs = new Option<int>("--jobs") { Description = "Worlds at the same time", HelpName = "N", DefaultValueFactory = _ => Environment.ProcessorCount };
        var mutant = new Option<Mutant>("--mutant") { Description = "A bug to seed, which the checkers must find", DefaultValueFactory = _ => Mutant.None };
        var calm = new Option<bool>("--no-faults") { Description = "Only users act, nothing fails" };
        var history = new Option<bool>("--history") { Description = "Print the whole history of each seed" };
        var output = new Option<string>("-o", "--output") { Description = "text or json", DefaultValueFactory = _ => "text" };
        output.AcceptOnlyFromAmong("text", "json");
        seeds.Validators.Add(x => Positive(x, seeds));
        jobs.Validators.Add(x => Positive(x, jobs));
        var command = new Command("simulate", "Run the whole platform in seeded one-thread worlds with faults, and check what it promises.") { seed, seeds, turmoil, jobs, mutant, calm, history, output };
        command.SetAction((parsed, stop) => CommonOptions.Guard(() =>
        {
            var run = new Run(machine, parsed.GetValue(output) == "json", parsed.GetValue(history))
            {
                Options = new(parsed.GetValue(seed), parsed.GetValue(seeds), parsed.GetValue(jobs))
                {
                    Simulation = new()
                    {
                        For = parsed.GetValue(turmoil),
                        Mutant = parsed.GetValue(mutant),
                        Faults = !parsed.GetValue(calm),
                        Notes = parsed.GetValue(history) ? int.MaxValue : 400,
                    },
                },
            };
            return run.Go(stop);
        }));
        return command;
    }

    /// <summary>90s, 10m, 1h; null where it is none.</summary>
    internal static TimeSpan? ReadTime(string text)
    {
        if (text.Length < 2 || !double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return null;
        TimeSpan? unit = text[^1] switch { 's' => TimeSpan.FromSeconds(1), 'm' => TimeSpan.FromMinutes(1), 'h' => TimeSpan.FromHours(1), _ => null };
        return unit is { } one && number is > 0 and < 10_000 ? number * one : null;
    }

    private static TimeSpan Refuse(System.CommandLine.Parsing.ArgumentResult result, string expected)
    {
        result.AddError($"--for {result.Tokens[0].Value}: {expected}");
        return default;
    }

    private static void Positive(System.CommandLine.Parsing.OptionResult result, Option<int> option)
    {
        if (result.GetValue(option) < 1) result.AddError($"{option.Name}: expected 1 or more");
    }

    private sealed class Run(Machine machine, bool json, bool history)
    {
        private readonly long _start = machine.Time.GetTimestamp();
        private int _done;

        public required CampaignOptions Options { get; init; }

        public async Task<int> Go(CancellationToken stop)
        {
            var result = await Campaign.Run(Options, traffic => Platform.Simulated(NullLoggerFactory.Instance, traffic), machine.OnThread, Tell, stop);
            var took = machine.Time.GetElapsedTime(_start);
            if (json) WriteJson(result, took);
            else WriteText(result, took);
            return result.Passed && result.Ran == Options.Seeds ? 0 : 1;
        }

        /// <summary>As the user would type it again.</summary>
        private string Replay(int seed)
        {
            var simulation = Options.Simulation;
            return string.Create(CultureInfo.InvariantCulture, $"./declarative simulate --seed {seed} --seeds 1 --for {simulation.For.TotalSeconds:0.###}s")
                + (simulation.Faults ? "" : " --no-faults") + (simulation.Mutant == Mutant.None ? "" : $" --mutant {simulation.Mutant}");
        }

        private void Tell(SimulationResult result)
        {
            _done++;
            var to = json ? Console.Error : Console.Out;
            if (history)
            {
                foreach (var note in result.Notes) to.WriteLine(note);
            }
            var took = machine.Time.GetElapsedTime(_start);
            to.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"seed {result.Seed} {(result.Passed ? "passed" : "FAILED")}, {result.Elapsed:h\\:mm\\:ss} simulated, hash {result.Hash:x16} ({_done} of {Options.Seeds}, {_done / Math.Max(took.TotalMinutes, 1e-9):0.#} seeds/minute)"));
            if (result.Passed) return;
            if (!history)
            {
                foreach (var note in result.Notes.TakeLast(NotesShown)) to.WriteLine("  " + note);
            }
            foreach (var violation in result.Violations) to.WriteLine("  VIOLATION " + violation);
            to.WriteLine("  replay: " + Replay(result.Seed));
        }

        private void WriteText(CampaignResult result, TimeSpan took)
        {
            Console.WriteLine();
            var width = result.Tally.Counts.Keys.Append("").Max(x => x.Length);
            foreach (var (name, count) in result.Tally.Counts) Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name.PadRight(width)} {count,10}"));
            foreach (var name in result.NeverOccurred) Console.WriteLine(name.PadRight(width) + "      NEVER");
            Console.WriteLine();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{result.Ran - result.Failures.Count} of {result.Ran} seeds passed in {took.TotalSeconds:0.#} s, {result.Ran / Math.Max(took.TotalMinutes, 1e-9):0.#} seeds/minute."));
            foreach (var failure in result.Failures) Console.WriteLine("failed: " + Replay(failure.Seed));
            if (result.NeverOccurred.Count > 0) Console.WriteLine("The campaign fails: what is marked NEVER should have occurred in so many seeds.");
        }

        private void WriteJson(CampaignResult result, TimeSpan took)
        {
            using var stdout = Console.OpenStandardOutput();
            using (var writer = new Utf8JsonWriter(stdout, new JsonWriterOptions { Indented = true }))
            {
                writer.WriteStartObject();
                writer.WriteNumber("seeds", result.Ran);
                writer.WriteNumber("firstSeed", Options.FirstSeed);
                writer.WriteNumber("simulatedSeconds", Options.Simulation.For.TotalSeconds);
                writer.WriteNumber("seconds", Math.Round(took.TotalSeconds, 3));
                writer.WriteBoolean("passed", result.Passed);
                writer.WriteStartArray("failures");
                foreach (var failure in result.Failures)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("seed", failure.Seed);
                    writer.WriteString("hash", failure.Hash.ToString("x16", CultureInfo.InvariantCulture));
                    writer.WriteString("replay", Replay(failure.Seed));
                    writer.WriteStartArray("violations");
                    foreach (var violation in failure.Violations) writer.WriteStringValue(violation);
                    writer.WriteEndArray();
                    writer.WriteEndObject();
                }
                writer.WriteEndArray();
                writer.WriteStartObject("counts");
                foreach (var (name, count) in result.Tally.Counts) writer.WriteNumber(name, count);
                writer.WriteEndObject();
                writer.WriteStartArray("neverOccurred");
                foreach (var name in result.NeverOccurred) writer.WriteStringValue(name);
                writer.WriteEndArray();
                writer.WriteEndObject();
            }
            Console.WriteLine();
        }
    }
}
