using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Authorization;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Authorization;

public sealed class AuthorizerTests : IAsyncLifetime
{
    private static readonly User Jane = new("jane", "dev", User.Authenticated);
    private readonly CancellationTokenSource _stop = new();
    private readonly Authorizer _authorizer = new();
    private InProcessApi _api = null!;
    private Task _following = Task.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        _api = await InProcessApi.Start(options: new() { Authorize = _authorizer.Check, BootstrapObjects = BootstrapPolicy.Objects });
        _following = _authorizer.Run(_api.Server.As(User.ApiServer), TimeProvider.System, _stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _following;
        await _api.DisposeAsync();
        _stop.Dispose();
    }

    [Fact]
    public async Task A_role_binding_holds_in_its_namespace_while_it_stands()
    {
        await Create(Kind.Role, "default", """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"r"},"rules":[{"apiGroups":[""],"resources":["configmaps"],"resourceNames":["a"],"verbs":["get"]},{"apiGroups":[""],"resources":["pods","pods/log"],"verbs":["*"]},{"apiGroups":["*"],"resources":["*/scale"],"verbs":["get"]}]}""");
        await Create(Kind.RoleBinding, "default", """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"},"subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"dev"}]}""");
        await Eventually.True(() => May("get", Kind.ConfigMap, "", "default", "a"), "the binding is seen");
        Assert.False(May("get", Kind.ConfigMap, "", "default", "b"));
        Assert.False(May("get", Kind.ConfigMap, "", "default", ""));
        Assert.False(May("list", Kind.ConfigMap, "", "default", ""));
        Assert.False(May("get", Kind.ConfigMap, "", "kube-system", "a"));
        Assert.False(May("get", Kind.ConfigMap, "", "", "a"));
        Assert.True(May("get", Kind.Pod, "log", "default", "x"));
        Assert.False(May("get", Kind.Pod, "exec", "default", "x"));
        Assert.True(May("get", Kind.Deployment, "scale", "default", "x"));
        Assert.False(May("get", Kind.Deployment, "", "default", "x"));
        await _api.Admin.Delete(new(Kind.RoleBinding, "default", "b"), stop: TestContext.Current.CancellationToken);
        await Eventually.True(() => !May("get", Kind.ConfigMap, "", "default", "a"), "the binding is gone");
    }

    [Fact]
    public async Task In_process_calls_are_refused_like_any_other()
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => _api.Server.As(User.Dns).Create(new(Kind.ConfigMap, "default", "a"), "{}"u8.ToArray(), stop: TestContext.Current.CancellationToken));
        Assert.Equal(403, refused.Code);
        await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (var _ in _api.Server.As(User.Dns).Watch(new(Kind.Secret), TestContext.Current.CancellationToken)) break;
        });
    }

    [Fact]
    public async Task A_binding_may_stand_before_its_role()
    {
        await Create(Kind.ClusterRoleBinding, "", """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"later"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"later"},"subjects":[{"kind":"ServiceAccount","namespace":"default","name":"robot"}]}""");
        await Create(Kind.ClusterRole, "", """{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"later"},"rules":[{"apiGroups":[""],"resources":["nodes"],"verbs":["list"]}]}""");
        var robot = new User("system:serviceaccount:default:robot", User.Authenticated);
        await Eventually.True(() => _authorizer.Check(robot, "list", Kind.Node, "", "", "") is null, "the role is seen");
    }

    private bool May(string verb, Kind kind, string subresource, string ns, string name) => _authorizer.Check(Jane, verb, kind, subresource, ns, name) is null;

    private Task<Stored> Create(Kind kind, string ns, string json) => _api.Admin.Create(new(kind, ns, ""), Encoding.UTF8.GetBytes(json));
}
