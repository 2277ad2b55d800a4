using System.Runtime.CompilerServices;
using Xunit;

namespace Declarative.Tests.Dns;

public class GoldenTests
{
    internal static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden", "dns");

    public static TheoryData<string> Cases() => [.. Directory.GetDirectories(Folder()).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)];

    /// <summary>Rewritten with UPDATE_GOLDEN=1.</summary>
    [Theory]
    [MemberData(nameof(Cases))]
    public void ZoneIsAsWritten(string name)
    {
        var folder = Path.Combine(Folder(), name);
        var zones = ZoneCase.Of(File.ReadAllText(Path.Combine(folder, "in.yaml")));
        var text = string.Join('\n', zones.Contents.Current.Lines()) + "\n";
        var golden = Path.Combine(folder, "zone.txt");
        if (Environment.GetEnvironmentVariable("UPDATE_GOLDEN") == "1")
            File.WriteAllText(golden, text);
        Assert.Equal(File.Exists(golden) ? File.ReadAllText(golden) : "", text);
    }
}
