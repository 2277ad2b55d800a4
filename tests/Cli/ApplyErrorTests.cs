using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>What is wrong with a manifest is said with file, document, line and field, and does not keep the other documents from being applied.</summary>
public sealed class ApplyErrorTests(VerbWorld world) : IClassFixture<VerbWorld>
{
    private const string Good = "\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: good\ndata:\n  a: b\n";

    public static TheoryData<string, string, string, string[]> Broken => new()
    {
        { "a tab", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: x", "document 1, line 4", [] },
        { "an open list", "apiVersion: v1\nkind: [ConfigMap", "document 1, line ", [] },
        { "a key twice", "apiVersion: v1\nkind: ConfigMap\nkind: Secret", "document 1, line 3", ["kind"] },
        { "no object", "- a\n- b", "document 1, line 1", ["expected an object"] },
        { "an unknown kind", "apiVersion: apps/v1\nkind: Deploymnt\nmetadata:\n  name: x", "document 1, line 2", ["Deploymnt", "did you mean \"Deployment\""] },
        { "a kind of another group", "apiVersion: v1\nkind: Deployment\nmetadata:\n  name: x", "document 1, line 2", ["\"apps/v1\""] },
        { "an unknown field", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\nspec:\n  replica: 3", "document 1, line 6", ["spec.replica", "did you mean \"replicas\""] },
        { "a wrong type", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: x\nspec:\n  replicas: three", "document 1, line 6", ["spec.replicas", "integer"] },
        { "a field that is missing", "apiVersion: v1\nkind: Service\nmetadata:\n  name: x\nspec:\n  ports:\n  - name: http", "document 1, line 7", ["spec.ports[0].port"] },
        { "a label that is none", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  labels:\n    a: 'not a label!'", "document 1, line ", ["metadata.labels", "label"] },
        { "a name that is none", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: Not_A_Name", "document 1, line 4", ["metadata.name"] },
        { "no name", "apiVersion: v1\nkind: ConfigMap\ndata:\n  a: b", "document 1, line ", ["metadata.name"] },
        { "another namespace", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  namespace: elsewhere", "document 1, line 5", ["elsewhere"] },
    };

    [Theory]
    [MemberData(nameof(Broken))]
    public async Task Says_where_and_what(string what, string text, string place, string[] parts)
    {
        var verbs = await world.InNamespace("errors");
        var file = verbs.File(text + Good);
        var result = await verbs.Run("apply", "-f", file);
        Assert.True(result.Code == 1, what);
        Assert.Contains($"{file}: {place}", result.Errors, StringComparison.Ordinal);
        foreach (var part in parts) Assert.Contains(part, result.Errors, StringComparison.Ordinal);
        Assert.Equal("configmap/good created\n", result.Output);
    }

    [Fact]
    public async Task Every_fault_of_a_file_is_told_with_its_own_line()
    {
        var verbs = await world.InNamespace("errors");
        var file = verbs.File("# a comment\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndta: {}\n---\nkind: [\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: b\n  labls: {}\n");
        var result = await verbs.Run("apply", "-f", file);
        Assert.Contains("document 1, line 7: unknown field \"dta\"", result.Errors, StringComparison.Ordinal);
        Assert.Contains("document 2, line ", result.Errors, StringComparison.Ordinal);
        Assert.Contains("document 3, line 15: unknown field \"metadata.labls\"", result.Errors, StringComparison.Ordinal);
        Assert.Equal("", result.Output);
    }

    [Fact]
    public async Task An_object_of_three_megabytes_is_refused_with_the_limit()
    {
        var verbs = await world.InNamespace("errors");
        var result = await verbs.Run("apply", "-f", verbs.File($"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: big\ndata:\n  a: {new string('x', 3_000_000)}\n"));
        result.Fails("more than");
        Assert.Contains("document 1, line 1", result.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(new[] { "get", "pds" }, "did you mean \"pods\"")]
    [InlineData(new[] { "get", "pod", "nope" }, "pods \"nope\" not found")]
    [InlineData(new[] { "get", "pods", "-l", "a==b==c" }, "error")]
    [InlineData(new[] { "delete", "pod/nope" }, "pods \"nope\" not found")]
    [InlineData(new[] { "scale", "cm/x", "--replicas", "1" }, "cannot be scaled")]
    [InlineData(new[] { "rollout", "status", "pod/x" }, "rollouts are of deployments")]
    [InlineData(new[] { "apply", "-f", "/nowhere/at.yaml" }, "there is no such file")]
    [InlineData(new[] { "get" }, "say what")]
    public async Task A_command_that_cannot_be_done_says_why(string[] arguments, string part)
    {
        var result = await (await world.InNamespace("errors")).Run(arguments);
        Assert.Equal(1, result.Code);
        Assert.Contains(part, result.Errors, StringComparison.OrdinalIgnoreCase);
    }
}
