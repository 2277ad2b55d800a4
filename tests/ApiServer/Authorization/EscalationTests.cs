using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.Http;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Authorization;

/// <summary>Nobody grants what they do not hold.</summary>
public sealed class EscalationTests : IAsyncLifetime
{
    private static readonly User Jane = new("jane", User.Authenticated);
    private RunningFace _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start();
        await Grant("writer", """[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","rolebindings"],"verbs":["create","update","patch"]},{"apiGroups":[""],"resources":["pods"],"verbs":["get","list"]}]""");
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("""[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]""", true)]
    [InlineData("""[{"apiGroups":[""],"resources":["pods"],"resourceNames":["a"],"verbs":["list"]}]""", true)]
    [InlineData("""[{"apiGroups":[""],"resources":["pods"],"verbs":["delete"]}]""", false)]
    [InlineData("""[{"apiGroups":[""],"resources":["pods/exec"],"verbs":["get"]}]""", false)]
    [InlineData("""[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]""", false)]
    public async Task A_role_holds_what_its_writer_holds(string rules, bool allowed)
    {
        var writing = Write(Kind.Role, $$"""{"metadata":{"name":"r"},"rules":{{rules}}}""");
        if (allowed) await writing;
        else Assert.Contains("is attempting to grant RBAC permissions not currently held", (await Assert.ThrowsAsync<ApiException>(() => writing)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_binding_gives_what_its_writer_holds_or_may_bind()
    {
        const string Edit = """{"metadata":{"name":"b"},"roleRef":{"kind":"ClusterRole","name":"edit"},"subjects":[{"kind":"User","name":"joe"}]}""";
        Assert.Equal(403, (await Assert.ThrowsAsync<ApiException>(() => Write(Kind.RoleBinding, Edit))).Code);
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => Write(Kind.RoleBinding, Edit.Replace("edit", "nope", StringComparison.Ordinal)))).Code);
        await Grant("binder", """[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["edit"],"verbs":["bind"]}]""");
        await Write(Kind.RoleBinding, Edit);
        // What the binding gives already may be labelled by anybody who may write it.
        await _server.Api(Jane).Patch(ResourceKey.Of(Kind.RoleBinding, "default", "b"), PatchKind.Merge, """{"metadata":{"labels":{"a":"b"}}}"""u8.ToArray(), stop: Stop);
    }

    [Fact]
    public async Task An_update_may_not_add_either()
    {
        await Write(Kind.Role, """{"metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]}""");
        var key = ResourceKey.Of(Kind.Role, "default", "r");
        var more = """{"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]}"""u8.ToArray();
        Assert.Equal(403, (await Assert.ThrowsAsync<ApiException>(() => _server.Api(Jane).Patch(key, PatchKind.Merge, more, stop: Stop))).Code);
        await Grant("escalator", """[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"],"verbs":["escalate"]}]""");
        await _server.Api(Jane).Patch(key, PatchKind.Merge, more, stop: Stop);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private Task<Stored> Write(Kind kind, string json) => _server.Api(Jane).Create(ResourceKey.Of(kind, "default", ""), Encoding.UTF8.GetBytes(json), stop: Stop);

    /// <summary>Gives jane rules everywhere, and waits until they hold.</summary>
    private async Task Grant(string name, string rules)
    {
        await _server.Admin.Create(ResourceKey.Of(Kind.ClusterRole, "", ""), Encoding.UTF8.GetBytes($$$"""{"metadata":{"name":"{{{name}}}"},"rules":{{{rules}}}}"""), stop: Stop);
        await _server.Admin.Create(ResourceKey.Of(Kind.ClusterRoleBinding, "", ""), Encoding.UTF8.GetBytes(
            $$$"""{"metadata":{"name":"{{{name}}}"},"roleRef":{"kind":"ClusterRole","name":"{{{name}}}"},"subjects":[{"kind":"User","name":"jane"}]}"""), stop: Stop);
        var verb = name switch { "writer" => "create", "binder" => "bind", _ => "escalate" };
        var kind = verb == "bind" ? Kind.ClusterRole : Kind.Role;
        await Eventually.True(() => _server.Authorizer.Check(Jane, verb, kind, "", kind.Namespaced ? "default" : "", "edit") is null, $"jane may {verb}");
    }
}
