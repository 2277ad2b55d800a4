using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Sim;

/// <summary>Mutants that are made of what a controller sees and asks: it works as it should on what it should not have seen.</summary>
internal static partial class SeededBugs
{
    private const string Sets = "statefulset-controller";
    private const string Jobs = "job-controller";

    public static Stored Seen(Mutant mutant, Part part, Stored stored) => mutant switch
    {
        Mutant.SetAllAtOnce when part.Name == Sets && stored.Key.Kind == Kind.StatefulSet => Changed(stored, static x => x.Replace("\"podManagementPolicy\":\"OrderedReady\"", "\"podManagementPolicy\":\"Parallel\"", StringComparison.Ordinal)),
        Mutant.JobWantsMore when part.Name == Jobs && stored.Key.Kind == Kind.Job => Changed(stored, static x => Completions().Replace(x, static y => string.Create(CultureInfo.InvariantCulture, $"\"completions\":{int.Parse(y.Groups[1].Value, CultureInfo.InvariantCulture) + 1}"))),
        _ => stored,
    };

    public static DeleteOptions? Asked(Mutant mutant, Part part, DeleteOptions? options) =>
        mutant == Mutant.SetForcesDeletion && part.Name == Sets ? (options ?? new()) with { GracePeriodSeconds = 0 } : options;

    private static Stored Changed(Stored stored, Func<string, string> change) => stored with { Json = Encoding.UTF8.GetBytes(change(Encoding.UTF8.GetString(stored.Json.Span))) };

    [GeneratedRegex("\"completions\":([0-9]+)")]
    private static partial Regex Completions();
}
