using System.Text.Json.Nodes;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Jobs, cron jobs and the sets beside Deployments, as a user of kubectl sees them, by the examples in manifests/.</summary>
[Collection(EndToEndTests.Name)]
public sealed class WorkloadTests
{
    private static string Manifest(string name) => Path.Combine(Path.GetDirectoryName(Installation.Hello)!, name);

    [Fact]
    public Task Work_that_ends_by_hand_by_index_and_by_the_clock() => RunningPlatform.With(async platform =>
    {
        await platform.Up("--apply", Manifest("job"));
        (await platform.Kubectl("wait", "--for=condition=complete", "job/pieces", "--timeout=60s")).Succeeds();
        Assert.Matches(@"pieces +Complete +5/5 ", (await platform.Kubectl("get", "job", "pieces")).Succeeds().Output);
        var status = (await platform.Get("job", "pieces"))["status"]!;
        Assert.Equal(("0-4", 5, 0), ((string)status["completedIndexes"]!, (int)status["succeeded"]!, (int)status["ready"]!));
        Assert.True(status["active"] is null && status["failed"] is null && status["uncountedTerminatedPods"]!.AsObject().Count == 0, status.ToJsonString());
        var pods = await platform.Pods("job-name=pieces");
        Assert.Equal(["0", "1", "2", "3", "4"], pods.Select(x => (string)x["metadata"]!["labels"]!["batch.kubernetes.io/job-completion-index"]!).Order(StringComparer.Ordinal));
        Assert.All(pods, x => Assert.Null(x["metadata"]!["finalizers"]));
        var logs = (await platform.Kubectl("logs", "-l", "job-name=pieces")).Succeeds().Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Enumerable.Range(0, 5).Select(x => $"piece {x} is done"), logs.Order(StringComparer.Ordinal));

        // By the clock, and by hand from the same template.
        Assert.DoesNotContain("Warning", (await platform.Kubectl("apply", "-f", Manifest("cronjob"))).Succeeds().Errors, StringComparison.Ordinal);
        Assert.Matches(@"nightly +30 3 \* \* \* +Europe/Paris +False +0 +<none>", (await platform.Kubectl("get", "cronjob", "nightly")).Succeeds().Output);
        (await platform.Kubectl("create", "job", "now", "--from=cronjob/nightly")).Succeeds();
        (await platform.Kubectl("wait", "--for=condition=complete", "job/now", "--timeout=60s")).Succeeds();
        Assert.Equal("tidied up\n", (await platform.Kubectl("logs", "job/now")).Succeeds().Output);
        (await platform.Kubectl("patch", "cronjob", "nightly", "--type=merge", "-p", """{"spec":{"schedule":"@every 1s"}}""")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Get("cronjob", "nightly"))["status"]?["lastSuccessfulTime"] is not null, "a job by the clock has succeeded");
        var scheduled = (await platform.Get("jobs"))["items"]!.AsArray().Where(x => ((string)x!["metadata"]!["name"]!).StartsWith("nightly-", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(scheduled);
        Assert.All(scheduled, x => Assert.Equal("nightly", (string)x!["metadata"]!["ownerReferences"]![0]!["name"]!));

        // Failure by the policy, and what goes with its owner.
        (await platform.Apply("""
            apiVersion: batch/v1
            kind: Job
            metadata: {name: fails}
            spec:
              podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}
              template: {spec: {restartPolicy: Never, containers: [{name: c, command: [/bin/sh, -c, "exit 42"]}]}}
            """)).Succeeds();
        (await platform.Kubectl("wait", "--for=condition=failed", "job/fails", "--timeout=60s")).Succeeds();
        Assert.Contains("exit code 42 matching FailJob rule at index 0", (await platform.Kubectl("describe", "job", "fails")).Succeeds().Output, StringComparison.Ordinal);
        (await platform.Kubectl("delete", "cronjob/nightly", "job/pieces", "job/fails")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Pods("")).Count == 0, "the jobs' pods are gone");
        Assert.Null((await platform.Get("jobs"))["items"]);
    });

    [Fact]
    public Task Sets_with_names_and_sets_of_nodes() => RunningPlatform.With(async platform =>
    {
        var up = await platform.Up("--apply", Manifest("statefulset"), "--apply", Manifest("daemonset"));
        Assert.DoesNotContain("nothing acts on it", up.Output + up.Errors, StringComparison.Ordinal);
        Assert.Contains("roll out complete: 2 new pods have been updated", (await platform.Kubectl("rollout", "status", "statefulset/db", "--timeout=60s")).Succeeds().Output, StringComparison.Ordinal);
        Assert.Contains("successfully rolled out", (await platform.Kubectl("rollout", "status", "daemonset/watch", "--timeout=60s")).Succeeds().Output, StringComparison.Ordinal);
        var nodes = (await platform.Get("nodes"))["items"]!.AsArray().Select(x => (string)x!["metadata"]!["name"]!).Order(StringComparer.Ordinal).ToList();
        Assert.Equal(nodes, (await platform.Pods("app=watch")).Select(x => (string)x["spec"]!["nodeName"]!).Order(StringComparer.Ordinal));
        var all = (await platform.Kubectl("get", "all")).Succeeds().Output;
        Assert.Matches(@"statefulset.apps/db +2/2", all);
        Assert.Matches($@"daemonset.apps/watch +{nodes.Count} +{nodes.Count} +{nodes.Count} +{nodes.Count} +{nodes.Count}", all);

        var first = await platform.Pods("app=db");
        Assert.Equal(["db-0", "db-1"], first.Select(x => (string)x["metadata"]!["name"]!).Order(StringComparer.Ordinal));
        Assert.Equal(("db-0", "db"), (first.Select(x => ((string)x["spec"]!["hostname"]!, (string)x["spec"]!["subdomain"]!)).Min()));
        if (Installation.OnPath("dig") is not null)
        {
            await RunningPlatform.Until(async () => (await ChildProcess.Run("dig", ["@127.0.0.1", "-p", $"{platform.Ports.Dns}", "+short", "db-1.db.default.svc.cluster.local", "A"])).Output.Trim() == "127.0.0.1", "db-1 has a name");
        }

        // Roll-out, history and the way back.
        (await platform.Kubectl("set", "env", "statefulset/db", "VERSION=2")).Succeeds();
        (await platform.Kubectl("rollout", "status", "statefulset/db", "--timeout=60s")).Succeeds();
        Assert.All(await platform.Pods("app=db"), x => Assert.Contains(x["spec"]!["containers"]![0]!["env"]!.AsArray(), y => (string)y!["name"]! == "VERSION"));
        Assert.Matches(@"(?s)1 .*2 ", (await platform.Kubectl("rollout", "history", "statefulset/db")).Succeeds().Output);
        (await platform.Kubectl("rollout", "undo", "statefulset/db")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Get("statefulset", "db"))["status"] is { } status && (string?)status["currentRevision"] == (string?)status["updateRevision"]
            && (await platform.Pods("app=db")).All(x => x["spec"]!["containers"]![0]!["env"]!.AsArray().All(y => (string)y!["name"]! != "VERSION")), "the first revision is back");
        (await platform.Kubectl("scale", "statefulset/db", "--replicas=1")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Pods("app=db")).Count == 1, "one pod is left");
        Assert.Equal("db-0", (string)(await platform.Pods("app=db"))[0]["metadata"]!["name"]!);

        // The controller of the core group.
        (await platform.Apply("""
            apiVersion: v1
            kind: ReplicationController
            metadata: {name: old}
            spec:
              replicas: 2
              template: {metadata: {labels: {app: old}}, spec: {containers: [{name: c, command: [sleep, "1000000"]}]}}
            """)).Succeeds();
        await RunningPlatform.Until(async () => (int?)(await platform.Get("rc", "old"))["status"]?["readyReplicas"] == 2, "the replication controller's pods are ready");
        (await platform.Kubectl("scale", "rc/old", "--replicas=1")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Pods("app=old")).Count == 1, "one pod is left");
        Assert.Equal("app=old", (string?)JsonNode.Parse((await platform.Kubectl("get", "--raw", "/api/v1/namespaces/default/replicationcontrollers/old/scale")).Succeeds().Output)!["status"]!["selector"]);
        (await platform.Kubectl("delete", "rc/old", "sts/db", "ds/watch", "service/db")).Succeeds();
        await RunningPlatform.Until(async () => (await platform.Pods("")).Count == 0, "all pods are gone");
        await RunningPlatform.Until(async () => (await platform.Get("controllerrevisions"))["items"] is null, "their revisions are gone");
    });
}
