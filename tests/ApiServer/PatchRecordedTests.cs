using System.Runtime.CompilerServices;
using System.Text;
using Declarative.Api;
using Declarative.Api.Schema;
using Declarative.ApiServer.Patch;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Patches that kubectl sent to a Kubernetes API server, with the object before and after (without status and bookkeeping).</summary>
public sealed class PatchRecordedTests
{
    private static readonly string Folder = Path.Combine(Path.GetDirectoryName(Here())!, "..", "Golden", "patch");

    public static TheoryData<string> Cases => [.. Directory.GetDirectories(Folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_recorded_patch_gives_the_recorded_object(string name)
    {
        var folder = Path.Combine(Folder, name);
        var patch = Directory.GetFiles(folder, "patch.*.json").Single();
        var kind = Path.GetFileName(patch).Split('.')[1] switch { "json" => PatchKind.Json, "merge" => PatchKind.Merge, _ => PatchKind.Strategic };
        var current = File.ReadAllBytes(Path.Combine(folder, "current.json"));
        var tree = JsonTree.Parse(current);
        var version = tree["apiVersion"]!.Text().Split('/');
        var type = TypeTable.Kind(version.Length == 2 ? version[0] : "", version[^1], tree["kind"]!.Text());

        var patched = Patches.Apply(kind, type, current, File.ReadAllBytes(patch));
        var result = SchemaCheck.Check(type, patched, FieldValidation.Ignore);
        var wanted = SchemaCheck.Check(type, File.ReadAllBytes(Path.Combine(folder, "result.json")), FieldValidation.Strict);
        Assert.Empty(result.Errors);
        Assert.Empty(wanted.Errors);
        if (!JsonTree.Same(JsonTree.Parse(wanted.Json!), JsonTree.Parse(result.Json!)))
        {
            Assert.Equal(Encoding.UTF8.GetString(wanted.Json!), Encoding.UTF8.GetString(result.Json!));
        }
    }

    private static string Here([CallerFilePath] string path = "") => path;
}
