using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Admission;

/// <summary>ValidatingAdmissionPolicies and their bindings.</summary>
public sealed class PolicyTests
{
    private const string Replicas = """
        metadata: {name: replicas}
        spec:
          matchConstraints:
            resourceRules:
            - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}
          matchConditions:
          - {name: not-exempt, expression: "!has(object.metadata.labels) || !('exempt' in object.metadata.labels)"}
          paramKind: {apiVersion: v1, kind: ConfigMap}
          variables:
          - {name: most, expression: "int(params.data.most)"}
          - {name: wanted, expression: "object.spec.replicas"}
          validations:
          - {expression: "variables.wanted <= variables.most", messageExpression: "'at most ' + string(variables.most) + ' in ' + namespaceObject.metadata.name", reason: Forbidden}
          - {expression: "request.operation == 'CREATE' || object.spec.replicas >= oldObject.spec.replicas - 2", message: not so fast}
        """;

    private static string Binding(string actions, string notFound = "Deny") => $$"""
        metadata: {name: everywhere}
        spec:
          policyName: replicas
          validationActions: [{{actions}}]
          paramRef: {name: limits, parameterNotFoundAction: {{notFound}}}
        """;

    private static Task<Stored> Create(IApi api, Kind kind, string yaml, string ns = "", WriteOptions? options = null) =>
        api.Create(ResourceKey.Of(kind, ns, ""), Yaml.ToJson(Encoding.UTF8.GetBytes(yaml)), options, TestContext.Current.CancellationToken);

    private static Task<Stored> Web(IApi api, string name, int replicas, string labels = "", WriteOptions? options = null) => Create(api, Kind.Deployment, $$"""
        metadata: {name: {{name}}, labels: { {{labels}} } }
        spec:
          replicas: {{replicas}}
          selector: {matchLabels: {a: b} }
          template: {metadata: {labels: {a: b} }, spec: {containers: [{name: c, command: [x]}]} }
        """, "default", options);

    private static Task<Stored> Scale(IApi api, string name, int replicas) => api.Patch(ResourceKey.Of(Kind.Deployment, "default", name), PatchKind.Merge,
        Encoding.UTF8.GetBytes($$"""{"spec":{"replicas":{{replicas}} } }"""), stop: TestContext.Current.CancellationToken);

    [Fact]
    public async Task A_policy_with_parameters_and_variables_denies_with_its_reason()
    {
        await using var api = await InProcessApi.Start();
        await Create(api.Admin, Kind.ValidatingAdmissionPolicy, Replicas);
        await Web(api.Admin, "before", 9); // no binding: not in force
        await Create(api.Admin, Kind.ValidatingAdmissionPolicyBinding, Binding("Deny"));
        var denied = await Assert.ThrowsAsync<ApiException>(() => Web(api.Admin, "web", 3));
        Assert.Equal("deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'everywhere' denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction", denied.Status.Message);

        await Create(api.Admin, Kind.ConfigMap, "metadata: {name: limits}\ndata: {most: '5'}", "default");
        await Web(api.Admin, "web", 5);
        denied = await Assert.ThrowsAsync<ApiException>(() => Scale(api.Admin, "web", 6));
        Assert.Equal((403, StatusReason.Forbidden), (denied.Code, denied.Status.Reason));
        Assert.Equal("deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'replicas' with binding 'everywhere' denied request: at most 5 in default", denied.Status.Message);
        denied = await Assert.ThrowsAsync<ApiException>(() => Scale(api.Admin, "web", 1));
        Assert.Equal((422, StatusReason.Invalid), (denied.Code, denied.Status.Reason));
        Assert.EndsWith("denied request: not so fast", denied.Status.Message, StringComparison.Ordinal);
        await Scale(api.Admin, "web", 3);
        await Web(api.Admin, "free", 50, "exempt: 'yes'");
        await api.Admin.Patch(ResourceKey.Of(Kind.ConfigMap, "default", "limits"), PatchKind.Merge, """{"data":{"most":"60"}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        await Scale(api.Admin, "web", 50);
    }

    [Fact]
    public async Task Warn_lets_pass_and_failure_policy_decides_what_an_error_means()
    {
        await using var api = await InProcessApi.Start();
        await Create(api.Admin, Kind.ValidatingAdmissionPolicy, Replicas);
        await Create(api.Admin, Kind.ConfigMap, "metadata: {name: limits}\ndata: {most: many}", "default");
        await Create(api.Admin, Kind.ValidatingAdmissionPolicyBinding, Binding("Warn, Audit"));
        var warnings = new List<string>();
        await Web(api.Admin, "web", 3, options: new() { Warnings = warnings });
        Assert.StartsWith("Validation failed for ValidatingAdmissionPolicy 'replicas' with binding 'everywhere': expression 'variables.wanted <= variables.most' resulted in error: composited variable \"most\" fails to evaluate: ", Assert.Single(warnings), StringComparison.Ordinal);
        await api.Admin.Patch(ResourceKey.Of(Kind.ValidatingAdmissionPolicy, "", "replicas"), PatchKind.Merge, """{"spec":{"failurePolicy":"Ignore"}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        warnings.Clear();
        await Web(api.Admin, "second", 3, options: new() { Warnings = warnings });
        Assert.Empty(warnings);
    }

    [Theory]
    [InlineData("variables.wanted <=", "variables.wnated <=", "undefined field 'wnated'")]
    [InlineData("int(params.data.most)", "int(params.data.most", "compilation failed")]
    [InlineData("reason: Forbidden", "reason: Because", "Unsupported value: \"Because\"")]
    [InlineData("operations: [CREATE, UPDATE]", "operations: []", "spec.matchConstraints.resourceRules[0].operations: Required value")]
    [InlineData("request.operation == 'CREATE'", "authorizer.path('/x').allowed()", "no matching overload for 'allowed'")]
    [InlineData("request.operation == 'CREATE'", "math.greatest(1, 2) == 2", "undeclared reference to 'math'")]
    public async Task A_wrong_policy_is_refused(string right, string wrong, string says)
    {
        await using var api = await InProcessApi.Start();
        var refused = await Assert.ThrowsAsync<ApiException>(() => Create(api.Admin, Kind.ValidatingAdmissionPolicy, Replicas.Replace(right, wrong, StringComparison.Ordinal)));
        Assert.Equal(422, refused.Code);
        Assert.Contains(says, refused.Status.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("authorizer.group('').resource('secrets').namespace('default').name('x').check('get').allowed()", "secrets//default/x get by jane")]
    [InlineData("authorizer.group('apps').resource('deployments').subresource('scale').check('patch').allowed()", "deployments/scale/ patch by jane")]
    [InlineData("authorizer.requestResource.check('escalate').allowed()", "deployments//default/web escalate by jane")]
    [InlineData("authorizer.path('/metrics').check('get').allowed()", "/metrics get by jane")]
    [InlineData("authorizer.serviceAccount('ns', 'robot').group('').resource('pods').check('list').allowed()", "pods// list by system:serviceaccount:ns:robot")]
    public async Task An_expression_asks_what_a_user_may(string expression, string asked)
    {
        var (questions, answer) = (new List<string>(), true);
        await using var api = await InProcessApi.Start(options: new()
        {
            Allows = (user, x) =>
            {
                var about = x.Path.Length > 0 ? x.Path : $"{x.Resource}/{x.Subresource}/{x.Namespace}{(x.Namespace.Length > 0 ? "/" : "")}{x.Name}";
                questions.Add($"{about} {x.Verb} by {user.Name}");
                return answer;
            },
        });
        await Create(api.Admin, Kind.ValidatingAdmissionPolicy, $$"""
            metadata: {name: rights}
            spec:
              matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]}
              validations: [{expression: "{{expression}}", message: may not}]
            """);
        await Create(api.Admin, Kind.ValidatingAdmissionPolicyBinding, "metadata: {name: rights}\nspec: {policyName: rights, validationActions: [Deny]}");
        var jane = api.Server.As(new User("jane"));
        await Web(jane, "web", 1);
        Assert.Equal([asked], questions);
        answer = false;
        Assert.EndsWith("denied request: may not", (await Assert.ThrowsAsync<ApiException>(() => Web(jane, "web", 1))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Parameters_that_are_not_there_deny_whatever_a_failure_does()
    {
        await using var api = await InProcessApi.Start();
        await Create(api.Admin, Kind.ValidatingAdmissionPolicy, Replicas);
        await Create(api.Admin, Kind.ValidatingAdmissionPolicyBinding, Binding("Warn"));
        Assert.Contains("no params found for policy binding with `Deny` parameterNotFoundAction", (await Assert.ThrowsAsync<ApiException>(() => Web(api.Admin, "web", 3))).Message, StringComparison.Ordinal);
        await api.Admin.Patch(ResourceKey.Of(Kind.ValidatingAdmissionPolicyBinding, "", "everywhere"), PatchKind.Merge, """{"spec":{"paramRef":{"parameterNotFoundAction":"Allow"}}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        await Web(api.Admin, "web", 3);
        // A binding that names none leaves them null, which is an error of the variable that reads them.
        await api.Admin.Patch(ResourceKey.Of(Kind.ValidatingAdmissionPolicyBinding, "", "everywhere"), PatchKind.Merge, """{"spec":{"paramRef":null}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        var warnings = new List<string>();
        await Web(api.Admin, "second", 3, options: new() { Warnings = warnings });
        Assert.Contains("composited variable \"most\" fails to evaluate", Assert.Single(warnings), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Kubectls.Rows), MemberType = typeof(Kubectls))]
    public async Task Kubectl_shows_the_denial(string name)
    {
        var path = Kubectls.Require(name);
        await using var face = await RunningFace.Start();
        var kubectl = new Kubectl(path, face.Face.KubeconfigPath, face.Directory);
        (await kubectl.Run("apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\n" + Replicas, ["apply", "-f", "-"])).Succeeds();
        (await kubectl.Run("apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\n" + Binding("Deny"), ["apply", "-f", "-"])).Succeeds();
        (await kubectl.Run("create", "configmap", "limits", "--from-literal=most=2")).Succeeds();
        (await kubectl.Run("create", "deployment", "web", "--image=x", "--replicas=3")).Fails("ValidatingAdmissionPolicy 'replicas' with binding 'everywhere' denied request: at most 2 in default");
        (await kubectl.Run("create", "deployment", "web", "--image=x", "--replicas=2")).Succeeds();
    }
}
