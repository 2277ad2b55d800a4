using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Jobs;
using Declarative.Controllers.Workloads;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>The plan of a job against a small model of server and machines in which plans are cut off anywhere and pods end at any time.</summary>
public sealed class JobProperties
{
    private const int Seeds = 400;

    [Theory]
    [InlineData("""{"completions":5,"parallelism":3,"backoffLimit":1000,"template":{"spec":{"restartPolicy":"Never"}}}""")]
    [InlineData("""{"completionMode":"Indexed","completions":5,"parallelism":3,"backoffLimit":1000,"template":{"spec":{"restartPolicy":"Never"}}}""")]
    [InlineData("""{"completions":4,"parallelism":4,"backoffLimit":1000,"podReplacementPolicy":"Failed","template":{"spec":{"restartPolicy":"Never"}}}""")]
    [InlineData("""{"completionMode":"Indexed","completions":4,"parallelism":2,"backoffLimit":1000,"backoffLimitPerIndex":1000,"template":{"spec":{"restartPolicy":"Never"}}}""")]
    [InlineData("""{"completions":50,"parallelism":3,"backoffLimit":3,"template":{"spec":{"restartPolicy":"Never"}}}""")]
    [InlineData("""{"completionMode":"Indexed","completions":6,"parallelism":3,"backoffLimit":1000,"successPolicy":{"rules":[{"succeededCount":2}]},"template":{"spec":{"restartPolicy":"Never"}}}""")]
    public void No_pod_is_counted_twice_nor_lost_and_never_are_there_too_many(string spec)
    {
        for (var seed = 0; seed < Seeds; seed++)
        {
            var model = new Model(seed, JsonNode.Parse(spec)!.AsObject());
            for (var step = 0; step < 2000 && !model.Job.IsFinished; step++) model.Step();
            Assert.True(model.Job.IsFinished, $"seed {seed}: not finished: {model.Json.ToJsonString()}");
            model.Settle();
            var status = model.Job.Status;
            Assert.Equal((0, 0), (status.Active, status.UncountedTerminatedPods?.Failed.Count + status.UncountedTerminatedPods?.Succeeded.Count));
            Assert.All(model.Pods, x => Assert.Empty(x.Metadata.Finalizers));
            var complete = status.Conditions.Any(x => x is { Type: "Complete", IsTrue: true });
            Assert.Equal(complete, status.CompletionTime is not null);
            Assert.True(status.Failed == model.Failed, $"seed {seed}: {model.Failed} failed, {status.Failed} are counted");
            Assert.True(status.Succeeded == model.Succeeded, $"seed {seed}: {model.Succeeded} succeeded, {status.Succeeded} are counted");
        }
    }

    /// <summary>Truth beside the job's own account: which pods ended how while something held them.</summary>
    private sealed class Model(int seed, JsonObject spec)
    {
        private readonly Random _random = new(seed);
        private readonly SortedDictionary<string, JsonObject> _pods = new(StringComparer.Ordinal);
        private readonly HashSet<int> _indexes = [];
        private long _revision = 1;
        private int _made;
        private DateTimeOffset _now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public JsonObject Json { get; } = new()
        {
            ["metadata"] = new JsonObject { ["name"] = "j", ["namespace"] = "default", ["uid"] = "job", ["resourceVersion"] = "1", ["creationTimestamp"] = "2030-01-01T00:00:00Z" },
            ["spec"] = With(spec, "selector", new JsonObject { ["matchLabels"] = new JsonObject { ["a"] = "b" } }),
        };

        public int Succeeded { get; private set; }
        public int Failed { get; private set; }
        public Job Job => Job.Read(Encoding.UTF8.GetBytes(Json.ToJsonString()));
        public IReadOnlyList<Pod> Pods => [.. _pods.Values.Select(Read)];

        public void Step()
        {
            _now += TimeSpan.FromSeconds(_random.Next(700));
            if (_random.Next(2) == 0) Reconcile(_random.Next(4) == 0 ? _random.Next(3) : int.MaxValue);
            else if (_pods.Count > 0) Live(_pods.ElementAt(_random.Next(_pods.Count)).Value);
        }

        public void Settle()
        {
            for (var i = 0; i < 10; i++) Reconcile(int.MaxValue);
        }

        /// <param name="changes">The plan ends after so many changes, as in a crash.</param>
        private void Reconcile(int changes)
        {
            var json = Encoding.UTF8.GetBytes(Json.ToJsonString());
            var job = Job.Read(json);
            // The view of pods may be one that has not caught up, in which case it must not be believed.
            var plan = JobPlan.Compute(job, TemplateJson.Of(json), Pods, [], _random.Next(5) > 0, _now);
            foreach (var change in plan.Changes.Take(changes))
            {
                Apply(change);
                var active = Pods.Where(x => x.IsActive()).ToList();
                Assert.True(active.Count <= job.Spec.Parallelism, $"seed {seed}: {active.Count} active");
                if (job.Spec.PodReplacementPolicy == "Failed") Assert.True(Pods.Count(x => !x.IsFinished) <= job.Spec.Parallelism, $"seed {seed}: one was replaced before its end");
                if (job.Spec.IsIndexed) Assert.Equal(active.Count, active.Select(x => x.Index()).Distinct().Count());
            }
        }

        private void Apply(Change change)
        {
            switch (change)
            {
                case Create create:
                    var pod = JsonNode.Parse(create.Json.Span)!.AsObject();
                    var name = (string)pod["metadata"]!["generateName"]! + (_made++).ToString("D4", CultureInfo.InvariantCulture);
                    pod["metadata"]!["name"] = name;
                    pod["metadata"]!["uid"] = name;
                    pod["metadata"]!["labels"] = With((JsonObject?)pod["metadata"]!["labels"]?.DeepClone() ?? [], "a", "b");
                    pod["metadata"]!["creationTimestamp"] = Body.Time(_now);
                    pod["status"] = new JsonObject { ["phase"] = "Pending" };
                    _pods.Add(name, pod);
                    break;
                case Patch { Subresource: "status" } patch:
                    var body = JsonNode.Parse(patch.Json.Span)!;
                    Assert.Equal((string?)Json["metadata"]!["resourceVersion"], (string?)body["metadata"]!["resourceVersion"]);
                    Json["status"] = Merge(Json["status"], body["status"]!);
                    Json["metadata"]!["resourceVersion"] = (++_revision).ToString(CultureInfo.InvariantCulture);
                    break;
                case Patch release:
                    var held = _pods[release.Key.Name];
                    held["metadata"]!.AsObject().Remove("finalizers");
                    Account(held, isReleased: true);
                    if (IsDeleting(held) && HasEnded(held)) _pods.Remove(release.Key.Name);
                    break;
                case Delete delete:
                    if (_pods.TryGetValue(delete.Key.Name, out var going)) Mark(going);
                    break;
            }
        }

        /// <summary>Something happens to a pod.</summary>
        private void Live(JsonObject pod)
        {
            var status = pod["status"]!;
            var name = (string)pod["metadata"]!["name"]!;
            if (IsDeleting(pod))
            {
                if (!HasEnded(pod)) End(pod, _random.Next(3) == 0 ? "Succeeded" : "Failed");
                if (pod["metadata"]!["finalizers"] is null) _pods.Remove(name);
            }
            else if ((string?)status["phase"] == "Pending")
            {
                status["phase"] = "Running";
            }
            else if ((string?)status["phase"] == "Running")
            {
                if (_random.Next(6) == 0) Mark(pod);
                else End(pod, _random.Next(4) == 0 ? "Failed" : "Succeeded");
            }
        }

        private void End(JsonObject pod, string phase)
        {
            pod["status"]!["phase"] = phase;
            pod["status"]!["containerStatuses"] = new JsonArray(new JsonObject { ["name"] = "c", ["state"] = new JsonObject { ["terminated"] = new JsonObject { ["exitCode"] = phase == "Failed" ? 1 : 0, ["finishedAt"] = Body.Time(_now) } } });
        }

        private void Mark(JsonObject pod)
        {
            if (IsDeleting(pod)) return;
            pod["metadata"]!["deletionTimestamp"] = Body.Time(_now.AddSeconds(30));
            pod["metadata"]!["deletionGracePeriodSeconds"] = 30;
        }

        /// <summary>What a pod was when it was let go is what it has to be counted as. One that was withdrawn while it ran is not counted.</summary>
        private void Account(JsonObject pod, bool isReleased)
        {
            var read = Read(pod);
            var noted = Job.Status.UncountedTerminatedPods;
            if (read.Index() is { } index && read.Status.Phase == "Succeeded" && !(noted?.Failed.Contains(read.Uid) ?? false))
            {
                if (_indexes.Add(index)) Succeeded++;
            }
            else if (noted?.Succeeded.Contains(read.Uid) ?? false) Succeeded++;
            else if (noted?.Failed.Contains(read.Uid) ?? false) Failed++;
            else Assert.True(isReleased && read.IsActive(), $"seed {seed}: {read.Name} was let go uncounted, {read.Status.Phase}");
        }

        private static bool IsDeleting(JsonObject pod) => pod["metadata"]!["deletionTimestamp"] is not null;

        private static bool HasEnded(JsonObject pod) => (string?)pod["status"]!["phase"] is "Succeeded" or "Failed";

        private static Pod Read(JsonObject pod) => Pod.Read(Encoding.UTF8.GetBytes(pod.ToJsonString()));

        private static JsonObject With(JsonObject json, string name, JsonNode value)
        {
            json[name] = value;
            return json;
        }

        private static JsonNode? Merge(JsonNode? target, JsonNode? patch)
        {
            if (patch is not JsonObject changes) return patch?.DeepClone();
            var merged = target as JsonObject ?? [];
            foreach (var (name, value) in changes)
            {
                if (value is null) merged.Remove(name);
                else merged[name] = Merge(merged[name]?.DeepClone(), value);
            }
            return merged.DeepClone();
        }
    }
}
