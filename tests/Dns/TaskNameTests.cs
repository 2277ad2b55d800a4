using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Xunit;
using DnsTaskName = Declarative.Dns.Zones.TaskName;
using PlacementTaskName = Declarative.Controllers.Placement.Tasks.TaskName;

namespace Declarative.Tests.Dns;

/// <summary>
/// DNS names a pod's task from the pod alone, Placement from the pod's owners: both must come to the same name, or DNS would publish one
/// that Mesos does not know.
/// </summary>
public class TaskNameTests
{
    [Theory]
    [InlineData("default", "ReplicaSet", "web-5d4f8c", "5d4f8c", "web", null, "web")]
    [InlineData("shop", "ReplicaSet", "web-5d4f8c", "5d4f8c", "web", null, "web.shop")]
    [InlineData("default", "ReplicaSet", "alone", null, null, null, "alone")]
    [InlineData("shop", "StatefulSet", "db", null, null, null, "db.shop")]
    [InlineData("default", null, null, null, null, null, "pod-1")]
    [InlineData("shop", null, null, null, null, null, "pod-1.shop")]
    [InlineData("shop", "ReplicaSet", "web-5d4f8c", "5d4f8c", "web", "given", "given")]
    public void DnsAndPlacementAgree(string ns, string? ownerKind, string? owner, string? hash, string? deployment, string? given, string expected)
    {
        var pod = new Pod
        {
            Metadata = new ObjectMeta
            {
                Name = "pod-1",
                Namespace = ns,
                Labels = hash is null ? ObjectMeta.NoStrings : new Dictionary<string, string> { ["pod-template-hash"] = hash },
                Annotations = given is null ? ObjectMeta.NoStrings : new Dictionary<string, string> { [DnsTaskName.Annotation] = given },
                OwnerReferences = owner is null ? [] : [new OwnerReference { Kind = ownerKind!, Name = owner, Controller = true }],
            },
        };
        ApiObject? ReplicaSet(string inNamespace, string name) => deployment is null ? null : new ApiObject
        {
            Metadata = new ObjectMeta { Name = name, Namespace = inNamespace, OwnerReferences = [new OwnerReference { Kind = "Deployment", Name = deployment, Controller = true }] },
        };
        Assert.Equal(expected, DnsTaskName.Of(pod));
        Assert.Equal(expected, PlacementTaskName.Of(pod, ReplicaSet));
    }
}
