using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Controllers.Deployments;
using Declarative.Controllers.Endpoints;
using Declarative.Controllers.ReplicaSets;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>The Endpoints object of a Service, for clients that know no slices.</summary>
public sealed class EndpointsObjectTests
{
    private static readonly ResourceKey Key = ResourceKey.Of(Kind.Endpoints, "default", "web");

    [Fact]
    public async Task It_says_what_the_slices_say_and_goes_with_its_Service()
    {
        await using var cluster = await Cluster.Start(DeploymentController.Run, ReplicaSetController.Run, EndpointsController.Run, EndpointsObjectController.Run);
        await cluster.Apply(Kind.Service, "web", """
            {"apiVersion":"v1","kind":"Service","metadata":{"name":"web","labels":{"team":"a"}},
             "spec":{"selector":{"app":"web"},"ports":[{"name":"http","port":80,"targetPort":"http"}]}}
            """);
        await cluster.Apply(Kind.Deployment, "web", Cluster.WebDeployment(3));
        await Until(json => Of(json, "addresses") == 3, "three addresses");
        var made = (await Read())!;
        Assert.Equal(("a", "endpoint-controller"), ((string?)made["metadata"]!["labels"]!["team"], (string?)made["metadata"]!["labels"]![EndpointsObjectPlan.ManagedByLabel]));
        var ports = made["subsets"]!.AsArray().Select(x => ((int)x!["ports"]![0]!["port"]!, (string?)x["ports"]![0]!["name"], (string?)x["addresses"]![0]!["targetRef"]!["uid"])).Order().ToList();
        Assert.Equal(cluster.Pods.Select(x => (x.Task!.HostPort("web", 8080), (string?)"http", (string?)x.Uid)).Order(), ports);

        cluster.Kubelet.BecomesReady = x => x.Uid != cluster.Pods[0].Uid;
        cluster.Kubelet.Again();
        await Until(json => (Of(json, "addresses"), Of(json, "notReadyAddresses")) == (2, 1), "one that is not ready");
        // Somebody else's change does not stay.
        await cluster.Api.Patch(Key, PatchKind.Merge, """{"subsets":[{"addresses":[{"ip":"192.0.2.1"}],"ports":[{"port":1}]}]}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
        await Until(json => (Of(json, "addresses"), Of(json, "notReadyAddresses")) == (2, 1), "as the slices have it");
        await cluster.Api.Delete(ResourceKey.Of(Kind.Service, "default", "web"), stop: TestContext.Current.CancellationToken);
        await Until(json => json is null, "gone");

        Task Until(Func<JsonNode?, bool> holds, string what) => Eventually.Async(async () => holds(await Read()), what);

        async Task<JsonNode?> Read()
        {
            try
            {
                return JsonNode.Parse((await cluster.Api.Get(Key, stop: TestContext.Current.CancellationToken)).Json.Span);
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                return null;
            }
        }

        static int Of(JsonNode? json, string name) => json?["subsets"]?.AsArray().Sum(x => x![name]?.AsArray().Count ?? 0) ?? 0;
    }
}
