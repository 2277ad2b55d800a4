using Declarative.Api.Wire;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>Every manifest that users find is applied here too.</summary>
public sealed class ManifestTests(VerbWorld world) : IClassFixture<VerbWorld>
{
    private static string Root
    {
        get
        {
            var at = AppContext.BaseDirectory;
            while (!File.Exists(Path.Combine(at, "Declarative.sln"))) at = Path.GetDirectoryName(at)!;
            return Path.Combine(at, "manifests");
        }
    }

    public static TheoryData<string> Folders => [.. Directory.GetDirectories(Root).Select(x => Path.GetFileName(x)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Folders))]
    public async Task Begins_with_two_lines_that_say_what_it_is_and_applies_as_it_stands(string folder)
    {
        var path = Path.Combine(Root, folder);
        foreach (var file in Directory.GetFiles(path))
        {
            var lines = await File.ReadAllLinesAsync(file, TestContext.Current.CancellationToken);
            Assert.True(lines[0].StartsWith("# ", StringComparison.Ordinal) && lines[1].StartsWith("# ", StringComparison.Ordinal) && !lines[2].StartsWith('#'), $"{file}: expected a comment of two lines");
        }
        var verbs = await world.InNamespace("manifests");
        var documents = Directory.GetFiles(path).Sum(x => Yaml.Read(File.ReadAllText(x)).Count);
        (await verbs.Run("apply", "-f", path, "--dry-run=server")).Succeeds();
        var created = (await verbs.Run("apply", "-f", path)).Succeeds();
        Assert.Equal(documents, created.Lines.Count);
        Assert.All(created.Lines, x => Assert.EndsWith(" created", x, StringComparison.Ordinal));
        Assert.Equal("", created.Errors);
        // stringData of a Secret is never in what the server has, so that one is sent again, as kubectl does.
        Assert.All((await verbs.Run("apply", "-f", path)).Succeeds().Lines, x => Assert.True(x.EndsWith(" unchanged", StringComparison.Ordinal) || x == "secret/config configured", x));
        (await verbs.Run("delete", "-f", path, "--wait=false")).Succeeds();
    }
}
