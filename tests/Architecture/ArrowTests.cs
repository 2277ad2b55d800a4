using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace Declarative.Tests.Architecture;

/// <summary>Who may use whom (docs/architecture.md).</summary>
public sealed class ArrowTests
{
    private static readonly Dictionary<string, string[]> Uses = new(StringComparer.Ordinal)
    {
        ["api"] = [],
        ["mesos"] = [],
        ["client"] = ["api"],
        ["apiserver"] = ["api", "mesos"],
        ["controllers"] = ["client", "mesos"],
        ["dns"] = ["client", "mesos"],
        ["lb"] = ["client"],
        ["sim"] = ["apiserver", "client", "mesos"],
        ["cli"] = ["api", "apiserver", "client", "mesos", "controllers", "dns", "lb", "sim"],
        ["tests"] = ["cli", "sim"],
        ["bench"] = ["cli", "sim"],
    };

    /// <summary>What an assembly uses of a namespace: only these below it.</summary>
    private static readonly (string Assembly, string Of, string[] Only)[] Parts =
    [
        ("Declarative.ApiServer", "Declarative.Mesos", ["Declarative.Mesos.Protocol", "Declarative.Mesos.AgentClient"]),
        ("Declarative.Controllers", "Declarative.Mesos", ["Declarative.Mesos.Protocol", "Declarative.Mesos.Resources", "Declarative.Mesos.Scheduler"]),
        ("Declarative.Dns", "Declarative.Mesos", ["Declarative.Mesos.Protocol", "Declarative.Mesos.Scheduler"]),
        ("Declarative.Client", "Microsoft.AspNetCore", []), // its framework reference is for logging alone
        ("Declarative.Controllers", "Microsoft.AspNetCore", []),
        ("Declarative.Sim", "Microsoft.AspNetCore", []),
        ("Declarative.Api", "Microsoft", ["Microsoft.CodeAnalysis", "Microsoft.Win32.SafeHandles"]),
    ];

    /// <summary>A library or a door, and the only places of the product that know it.</summary>
    private static readonly (string Name, string[] Places)[] Known =
    [
        ("Yarp", ["lb/Proxy"]),
        ("Microsoft.AspNetCore.Server.Kestrel", ["lb/Proxy", "apiserver/Http", "dns/Server", "mesos/Mini/Http"]),
        ("Microsoft.Data.Sqlite", ["apiserver/Storage/Sqlite"]),
        ("System.CommandLine", ["cli/Commands", "cli/Program.cs"]),
        // No container in the core: constructors by hand (decision 8).
        ("Microsoft.Extensions.DependencyInjection", ["apiserver/Http", "lb/Proxy", "dns/Server", "mesos/Mini/Http"]),
        ("Microsoft.Extensions.Hosting", ["apiserver/Http", "lb/Proxy", "dns/Server", "mesos/Mini/Http"]),
        ("WebApplication", ["apiserver/Http", "lb/Proxy", "dns/Server", "mesos/Mini/Http"]),
        // Only Placement speaks to the scheduler API.
        ("Declarative.Mesos.Protocol.SchedulerApi", ["mesos", "controllers/Placement", "sim"]),
    ];

    [Fact]
    public void Projects_refer_only_to_what_they_may_use()
    {
        var projects = Repository.Files.Where(x => x.Path.EndsWith(".csproj", StringComparison.Ordinal)).ToList();
        Assert.Equal(Uses.Keys.Order(StringComparer.Ordinal), projects.Select(x => x.Project).Order(StringComparer.Ordinal));
        Rule.Holds(projects.SelectMany(x => WrongReferences(x.Project, x.Text)));
    }

    [Fact]
    public void A_wrong_reference_is_found() =>
        Assert.Equal(["lb → controllers"], WrongReferences("lb", """
            <Project><ItemGroup>
              <ProjectReference Include="../client/Client.csproj" /><ProjectReference Include="../controllers/Controllers.csproj" />
            </ItemGroup></Project>
            """));

    [Fact]
    public void Assemblies_use_only_their_parts_of_others()
    {
        var wrong = new List<string>();
        foreach (var (assembly, of, only) in Parts)
        {
            wrong.AddRange(WrongParts(UsedTypes(assembly), of, only).Select(x => $"{assembly} uses {x}"));
        }
        Rule.Holds(wrong);
    }

    [Fact]
    public void A_wrong_part_is_found()
    {
        Assert.Equal(["A.Mini.Master.Cluster"], WrongParts([("A.Mini.Master", "Cluster"), ("A.Protocol", "Offer"), ("A.Protocol.Inner", "B"), ("AB", "C")], "A", ["A.Protocol"]));
        Assert.Contains(("Declarative.Mesos.Protocol", "FrameworkID"), UsedTypes("Declarative.Controllers")); // the reader reads
    }

    [Fact]
    public void Libraries_are_known_only_where_they_belong() =>
        Rule.Holds(Known.SelectMany(x => Repository.Product.Where(file => !file.IsUnder(x.Places)).SelectMany(file => Mentions(file, x.Name))));

    [Fact]
    public void A_library_out_of_place_is_found() =>
        Assert.Equal(["lb/A.cs:2: Yarp"], Mentions(new("lb/A.cs", "// Yarp\nusing Yarp.ReverseProxy;\nvar x = \"Yarp\";"), "Yarp"));

    private static IEnumerable<string> WrongReferences(string project, string text) => XDocument.Parse(text).Descendants("ProjectReference")
        .Select(x => x.Attribute("Include")!.Value.Split('/')[1])
        .Where(x => !Uses[project].Contains(x))
        .Select(x => $"{project} → {x}");

    private static IEnumerable<string> WrongParts(IEnumerable<(string Namespace, string Name)> used, string of, string[] only) => used
        .Where(x => Below(x.Namespace, of) && !only.Any(allowed => Below(x.Namespace, allowed)))
        .Select(x => $"{x.Namespace}.{x.Name}");

    private static bool Below(string name, string of) => name == of || name.StartsWith(of + ".", StringComparison.Ordinal);

    private static IEnumerable<string> Mentions(SourceFile file, string name) =>
        Regex.Matches(file.Code, $@"\b{Regex.Escape(name)}\b").Select(x => $"{file.At(x.Index)}: {name}");

    /// <summary>The types of other assemblies that the compiled code names.</summary>
    private static List<(string Namespace, string Name)> UsedTypes(string assembly)
    {
        using var stream = File.OpenRead(Path.Combine(AppContext.BaseDirectory, assembly + ".dll"));
        using var file = new PEReader(stream);
        var metadata = file.GetMetadataReader();
        return [.. metadata.TypeReferences.Select(metadata.GetTypeReference).Select(x => (metadata.GetString(x.Namespace), metadata.GetString(x.Name)))];
    }
}
