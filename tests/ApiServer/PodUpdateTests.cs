using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>What may change in a pod that is there (Kubernetes: ValidatePodUpdate).</summary>
public sealed class PodUpdateTests : IAsyncLifetime
{
    private static readonly ResourceKey Key = ResourceKey.Of(Kind.Pod, "default", "p");
    private InProcessApi _server = null!;

    public async ValueTask InitializeAsync()
    {
        _server = await InProcessApi.Start();
        await _server.Admin.Create(Key, """
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"x:1"}],"activeDeadlineSeconds":100,"nodeSelector":{"a":"b"},
            "tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":5}],"schedulingGates":[{"name":"x.io/one"},{"name":"x.io/two"}]}}
            """u8.ToArray(), stop: TestContext.Current.CancellationToken);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    [Theory]
    [InlineData("""{"spec":{"containers":[{"name":"c","image":"x:2"}]}}""")]
    [InlineData("""{"spec":{"activeDeadlineSeconds":50}}""")]
    [InlineData("""{"spec":{"schedulingGates":[{"name":"x.io/two"}]}}""")]
    [InlineData("""{"spec":{"nodeSelector":{"c":"d"}}}""")]
    [InlineData("""{"metadata":{"labels":{"a":"b"}}}""")]
    public async Task Some_fields_may_change(string patch) => await Patch(patch);

    [Fact]
    public async Task Tolerations_are_added_and_their_time_changes() => await _server.Admin.Patch(Key, PatchKind.Json,
        """[{"op":"replace","path":"/spec/tolerations/0/tolerationSeconds","value":9},{"op":"add","path":"/spec/tolerations/-","value":{"key":"m","operator":"Exists"}}]"""u8.ToArray(), stop: TestContext.Current.CancellationToken);

    [Theory]
    [InlineData("""{"spec":{"containers":[{"name":"c","image":"x:1"},{"name":"d","image":"x:1"}]}}""", "spec.containers", "pod updates may not add or remove containers")]
    [InlineData("""{"spec":{"activeDeadlineSeconds":101}}""", "spec.activeDeadlineSeconds", "Invalid value: 101: must be less than or equal to previous value")]
    [InlineData("""{"spec":{"activeDeadlineSeconds":null}}""", "spec.activeDeadlineSeconds", "must not update from a positive integer to nil value")]
    [InlineData("""{"spec":{"tolerations":[]}}""", "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds")]
    [InlineData("""{"spec":{"schedulingGates":[{"name":"x.io/three"}]}}""", "spec.schedulingGates", "only deletion is allowed, but found new scheduling gate 'x.io/three'")]
    [InlineData("""{"spec":{"nodeSelector":{"a":"c"}}}""", "spec", "changed: spec.nodeSelector.a")]
    [InlineData("""{"spec":{"terminationGracePeriodSeconds":5}}""", "spec", "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")]
    [InlineData("""{"spec":{"hostNetwork":true}}""", "spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`")]
    public async Task Others_may_not(string patch, string field, string message)
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => Patch(patch));
        var cause = Assert.Single(refused.Status.Causes);
        Assert.Equal((422, field), (refused.Code, cause.Field));
        Assert.Contains(message, cause.Message, StringComparison.Ordinal);
    }

    private Task<Stored> Patch(string patch) => _server.Admin.Patch(Key, PatchKind.Merge, Encoding.UTF8.GetBytes(patch), stop: TestContext.Current.CancellationToken);
}
