using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Wire;
using Declarative.ApiServer.Storage;
using Declarative.Sim;
using Declarative.Tests.ApiServer.CustomResources;
using Xunit;

namespace Declarative.Tests.ApiServer.Admission;

/// <summary>What bindings hand in, what failures say, and what the status of a policy tells of its expressions.</summary>
public sealed class PolicyDetailTests : IAsyncLifetime
{
    private const string OnMaps = """matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]}""";
    private const string OnNodes = """matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [nodes]}]}""";
    private const string OnDeployments = "matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]}";
    private InProcessApi _api = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _api = await InProcessApi.Start();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    private Task<Stored> Create(Kind kind, string yaml, WriteOptions? options = null) =>
        _api.Admin.Create(ResourceKey.Of(kind, "default", ""), Yaml.ToJson(Encoding.UTF8.GetBytes(yaml)), options, Stop);

    private Task<Stored> Policy(string name, string spec) => Create(Kind.ValidatingAdmissionPolicy, $"metadata: {{name: {name}}}\nspec:\n{string.Join('\n', spec.Split('\n').Select(x => "  " + x))}");

    private Task<Stored> Bind(string name, string actions = "Deny", string more = "") =>
        Create(Kind.ValidatingAdmissionPolicyBinding, $"metadata: {{name: {name}}}\nspec: {{policyName: {name}, validationActions: [{actions}]{more}}}");

    private async Task<string> Refused(Kind kind, string yaml) => (await Assert.ThrowsAsync<ApiException>(() => Create(kind, yaml))).Status.Message;

    [Fact]
    public async Task Each_selected_parameter_is_judged_by()
    {
        await Policy("sizes", $"{OnMaps}\nparamKind: {{apiVersion: v1, kind: LimitRange}}\nvalidations: [{{expression: \"size(object.data) <= int(params.metadata.annotations['most'])\", messageExpression: \"'more than ' + params.metadata.name + ' allows'\"}}]");
        await Bind("sizes", more: ", paramRef: {selector: {matchLabels: {about: maps}}, parameterNotFoundAction: Deny}");
        Assert.EndsWith("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction", await Refused(Kind.ConfigMap, Map("a", 1)), StringComparison.Ordinal);
        foreach (var (name, most, about) in ((string, int, string)[])[("wide", 9, "maps"), ("narrow", 2, "maps"), ("other", 0, "else")])
        {
            await Create(Kind.LimitRange, $"metadata: {{name: {name}, labels: {{about: {about}}}, annotations: {{most: '{most}'}}}}\nspec: {{limits: []}}");
        }
        await Create(Kind.ConfigMap, Map("a", 2));
        Assert.EndsWith("denied request: more than narrow allows", await Refused(Kind.ConfigMap, Map("b", 3)), StringComparison.Ordinal);

        static string Map(string name, int keys) => $"metadata: {{name: {name}}}\ndata: {{{string.Join(", ", Enumerable.Range(0, keys).Select(i => $"k{i}: v"))}}}";
    }

    [Theory]
    [InlineData(OnMaps, "apiVersion: shop/v1, kind: Basket", "name: x", "failed to configure policy: failed to find resource referenced by paramKind: 'shop/v1, Kind=Basket'")]
    [InlineData(OnMaps, "apiVersion: v1, kind: Node", "name: x, namespace: default", "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`")]
    [InlineData(OnNodes, "apiVersion: v1, kind: ConfigMap", "name: x", "failed to configure binding: cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")]
    public async Task What_can_not_be_handed_in_denies_unless_failures_are_passed_over(string on, string paramKind, string param, string why)
    {
        var kind = on == OnNodes ? Kind.Node : Kind.ConfigMap;
        await Policy("p", $"{on}\nparamKind: {{{paramKind}}}\nvalidations: [{{expression: \"true\"}}]");
        await Bind("p", "Audit", $", paramRef: {{{param}, parameterNotFoundAction: Allow}}");
        Assert.EndsWith("denied request: " + why, await Refused(kind, "metadata: {name: a}"), StringComparison.Ordinal);
        await _api.Admin.Patch(ResourceKey.Of(Kind.ValidatingAdmissionPolicy, "", "p"), PatchKind.Merge, """{"spec":{"failurePolicy":"Ignore"}}"""u8.ToArray(), stop: Stop);
        await Create(kind, "metadata: {name: a}");
    }

    [Fact]
    public async Task A_variable_that_nothing_reads_may_have_no_value()
    {
        await Policy("lazy", $"{OnMaps}\nvariables: [{{name: first, expression: object.data.first}}, {{name: twice, expression: variables.first + variables.first}}]\n" +
            "validations: [{expression: \"!has(object.data) || variables.twice == 'aa'\"}]");
        await Bind("lazy");
        await Create(Kind.ConfigMap, "metadata: {name: none}");
        await Create(Kind.ConfigMap, "metadata: {name: good}\ndata: {first: a}");
        Assert.EndsWith("denied request: expression '!has(object.data) || variables.twice == 'aa'' resulted in error: composited variable \"twice\" fails to evaluate: composited variable \"first\" fails to evaluate: no such key: first",
            await Refused(Kind.ConfigMap, "metadata: {name: bad}\ndata: {second: a}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("'  kept: ' + object.metadata.name + '  '", "kept: a")]
    [InlineData("'   '", "written")]
    [InlineData("'two\\nlines'", "written")]
    [InlineData("object.data.none", "written")]
    [InlineData("'x'.replace('x', '0123456789').replace('', '0123456789').replace('', '0123456789').replace('', '0123456789')", "written")]
    public async Task A_message_that_can_not_be_shown_gives_way_to_the_written_one(string expression, string says)
    {
        await Policy("m", $"{OnMaps}\nvalidations: [{{expression: \"false\", message: ' written ', messageExpression: \"{expression.Replace("\\", "\\\\", StringComparison.Ordinal)}\"}}]");
        await Bind("m");
        Assert.EndsWith("denied request: " + says, await Refused(Kind.ConfigMap, "metadata: {name: a}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_denial_keeps_no_other_policy_from_warning()
    {
        await Policy("a", $"{OnMaps}\nvalidations: [{{expression: \"false\", message: first}}]");
        await Policy("b", $"{OnMaps}\nvalidations: [{{expression: \"false\", message: second}}]");
        await Policy("c", $"{OnMaps}\nvalidations: [{{expression: \"false\", message: third}}]");
        await Bind("a");
        await Bind("b", "Warn");
        await Bind("c");
        var warnings = new List<string>();
        var refused = await Assert.ThrowsAsync<ApiException>(() => Create(Kind.ConfigMap, "metadata: {name: x}", new() { Warnings = warnings }));
        Assert.EndsWith("'a' denied request: first", refused.Status.Message, StringComparison.Ordinal);
        Assert.Equal(["Validation failed for ValidatingAdmissionPolicy 'b' with binding 'b': second"], warnings);
    }

    [Theory]
    [InlineData("expression: \"request.usr == 'x'\"", "undefined field 'usr'")]
    [InlineData("expression: \"namespaceObject.metadata.lables == null\"", "undefined field 'lables'")]
    [InlineData("expression: \"true\", messageExpression: \"string(authorizer.path('/x').check('get').allowed())\"", "undeclared reference to 'authorizer'")]
    public async Task What_no_request_has_is_refused(string rule, string says) =>
        Assert.Contains(says, (await Assert.ThrowsAsync<ApiException>(() => Policy("p", $"{OnMaps}\nvalidations: [{{{rule}}}]"))).Message, StringComparison.Ordinal);

    [Fact]
    public async Task The_namespace_s_times_are_compared_as_times()
    {
        await Policy("new", $"{OnMaps}\nvalidations: [{{expression: \"namespaceObject.metadata.creationTimestamp < timestamp('2000-01-01T00:00:00Z')\"}}]");
        await Bind("new");
        Assert.EndsWith("denied request: failed expression: namespaceObject.metadata.creationTimestamp < timestamp('2000-01-01T00:00:00Z')", await Refused(Kind.ConfigMap, "metadata: {name: a}"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("validations: [{expression: object.gone.}, {expression: 'true'}]", "expression 'object.gone.' resulted in error: compilation failed: ")]
    [InlineData("matchConditions: [{name: c, expression: request.uid == 'x'}]\nvalidations: [{expression: 'true'}]", "expression 'request.uid == 'x'' of match condition 'c': compilation failed: undefined field 'uid'")]
    [InlineData("variables: [{name: v, expression: request.uid}]\nvalidations: [{expression: variables.v == 'x'}]", "composited variable \"v\" fails to evaluate: compilation failed: undefined field 'uid'")]
    public async Task A_stored_expression_that_is_no_longer_taken_denies_unless_failures_are_passed_over(string spec, string why)
    {
        foreach (var fails in (bool[])[true, false])
        {
            var journal = new MemoryJournal();
            await journal.Append([Kept(2, Kind.ValidatingAdmissionPolicy, $"{OnMaps}\nfailurePolicy: {(fails ? "Fail" : "Ignore")}\n{spec}"), Kept(3, Kind.ValidatingAdmissionPolicyBinding, "policyName: p\nvalidationActions: [Deny]")], Stop);
            await using var api = await InProcessApi.Start(journal);
            var refused = await Record.ExceptionAsync(() => api.Admin.Create(ResourceKey.Of(Kind.ConfigMap, "default", "a"), """{"metadata":{"name":"a"}}"""u8.ToArray(), stop: Stop));
            if (fails) Assert.Contains(why, Assert.IsType<ApiException>(refused).Message, StringComparison.Ordinal);
            else Assert.Null(refused);
        }

        static JournalRecord Kept(long revision, Kind kind, string spec) =>
            new(revision, new(kind, "", "p"), $"u{revision}", Yaml.ToJson(Encoding.UTF8.GetBytes($"apiVersion: {kind.ApiVersion}\nkind: {kind.Name}\nmetadata: {{name: p, uid: u{revision}}}\nspec:\n{string.Join('\n', spec.Split('\n').Select(x => "  " + x))}")));
    }

    [Fact]
    public async Task The_status_names_fields_that_the_matched_kinds_do_not_have()
    {
        var stored = await Policy("typed", $"{OnDeployments}\nvariables: [{{name: wanted, expression: object.spec.replicas}}]\nvalidations:\n" + """
            - {expression: "object.spec.replicsa > 1"}
            - {expression: "variables.wanted > 1 && object.spec.template.spec.containers.all(c, has(c.image) && c.image != '')"}
            - {expression: "object.metadata.labels['a'] == 'b' && oldObject == null && object.metadata.creationTimestamp > timestamp('2020-01-01T00:00:00Z')", messageExpression: "object.spec.paused"}
            - {expression: "variables.wanted == 'many'"}
            """);
        Assert.Equal([
            "spec.validations[0].expression apps/v1, Kind=Deployment: ERROR: spec.validations[0].expression: undefined field 'replicsa' at 12",
            "spec.validations[3].expression apps/v1, Kind=Deployment: ERROR: spec.validations[3].expression: found no matching overload for '_==_' applied to '(int, string)' at 18",
        ], Warnings(stored));
        Assert.Equal(1, (int)Status(stored)["observedGeneration"]!);

        // Looked at again when it changes, and nothing is wrong then.
        stored = await _api.Admin.Patch(ResourceKey.Of(Kind.ValidatingAdmissionPolicy, "", "typed"), PatchKind.Merge, """{"spec":{"validations":[{"expression":"object.spec.replicas > 1"}]}}"""u8.ToArray(), stop: Stop);
        Assert.Equal((2, "{}"), ((int)Status(stored)["observedGeneration"]!, Status(stored)["typeChecking"]!.ToJsonString()));

        // A wildcard is for kinds that nobody knows: nothing is looked at.
        Assert.Empty(Warnings(await Policy("any", """
            matchConstraints: {resourceRules: [{apiGroups: ["*"], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]}
            validations: [{expression: "object.none"}]
            """.Replace("object.none", "object.none == 1", StringComparison.Ordinal))));
    }

    [Fact]
    public async Task Custom_kinds_and_parameters_have_their_fields_too()
    {
        await Create(Kind.CustomResourceDefinition, CronTab.Definition);
        var stored = await Policy("crons", "matchConstraints: {resourceRules: [{apiGroups: [stable.example.com], apiVersions: [v1], operations: [CREATE], resources: [crontabs]}]}\nparamKind: {apiVersion: v1, kind: ConfigMap}\nvalidations:\n" + """
            - {expression: "object.spec.nothing == 1"}
            - {expression: "object.metadata.labels['a'] == params.data['b']"}
            - {expression: "params.dta == null"}
            """);
        Assert.Equal(["undefined field 'nothing'", "undefined field 'dta'"], Warnings(stored).Select(x => x[x.IndexOf("undefined", StringComparison.Ordinal)..x.IndexOf(" at ", StringComparison.Ordinal)]));
    }

    private static JsonNode Status(Stored stored) => JsonNode.Parse(stored.Json.Span)!["status"]!;

    private static IEnumerable<string> Warnings(Stored stored) => (Status(stored)["typeChecking"]!["expressionWarnings"]?.AsArray() ?? []).Select(x => $"{(string)x!["fieldRef"]!} {(string)x["warning"]!}");
}
