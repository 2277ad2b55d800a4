using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>The traffic contract where a pod goes because a more important one needs its place: as everywhere else.</summary>
[Collection(EndToEndTests.Name)]
public sealed class PreemptedEndpointTests
{
    private const int Port = 9002;
    private const int Replicas = 2;

    [Fact]
    public async Task A_pod_that_is_displaced_is_drained_and_withdrawn_before_it_gets_term()
    {
        Assert.SkipWhen(Installation.OnPath("dig") is null, "there is no dig on PATH");
        await RunningPlatform.With(async platform =>
        {
            await platform.Up();
            var all = Quantity.Parse((string)(await platform.Get("node", "agent-0"))["status"]!["capacity"]!["cpu"]!).Milli;
            // Two fill seven tenths; who needs four displaces one of them, and its successor finds no place.
            (await platform.Apply(AbruptWeb.Manifest("web", Port, Replicas, $"{all * 35 / 100}m"))).Succeeds();
            (await platform.RolledOut("web")).Succeeds();
            await platform.Answers(platform.At(Port));
            var pods = (await platform.Pods("app=web")).Select(x => new Endpoint(
                (string)x["metadata"]!["name"]!,
                AbruptWeb.Output(platform, (string)x["metadata"]!["uid"]!),
                (int)JsonNode.Parse((string)x["metadata"]!["annotations"]!["declarative.mesos/task"]!)!["ports"]!["web/8080"]!)).ToList();
            await RunningPlatform.Until(async () => (await Names(platform)).Count == Replicas, "both are found by name");

            // In turn: each pod has requests in flight when one of them is chosen.
            var slow = Enumerable.Range(0, 2 * Replicas).Select(_ => platform.Http.GetAsync(new Uri(platform.At(Port), "slow?ms=5000"))).ToList();
            await RunningPlatform.Until(async () => (await InFlight(platform)).Values.Count(x => x > 0) == Replicas, "requests are in flight at both");
            await using var load = new Load(platform.At(Port), clients: 2, TimeSpan.FromMilliseconds(5));
            await RunningPlatform.Until(() => load.Answers.Count == Replicas, "both answer");
            (await platform.Apply(Vip($"{all * 40 / 100}m"))).Succeeds();

            // From the mark to the end: once a pod has had TERM it has no name.
            Endpoint? victim = null;
            await RunningPlatform.Until(async () =>
            {
                victim = pods.SingleOrDefault(x => x.Lines().Any(y => y.StartsWith(AbruptWeb.Term, StringComparison.Ordinal)));
                var names = await Names(platform);
                Assert.True(victim is null || !names.Contains(victim.HostPort), $"{victim} has had TERM and is still named");
                return victim is not null;
            }, "one of them has had TERM");
            (await platform.Kubectl("wait", "--for=condition=Ready", "pod/vip", "--timeout=60s")).Succeeds();

            var answers = new List<string>();
            foreach (var answer in await Task.WhenAll(slow))
            {
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
                answers.Add((await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Trim());
                answer.Dispose();
            }
            Assert.Equal(pods.Select(x => x.Name).Order(StringComparer.Ordinal), answers.Distinct().Order(StringComparer.Ordinal));
            var lines = victim!.Lines();
            Assert.Equal(lines.FindLastIndex(x => x.StartsWith("GET /slow?ms=5000 200", StringComparison.Ordinal)), lines.FindLastIndex(x => x.StartsWith("GET ", StringComparison.Ordinal) && x.Contains("slow", StringComparison.Ordinal)));
            Assert.True(lines.FindIndex(x => x.StartsWith(AbruptWeb.Term, StringComparison.Ordinal)) > lines.FindLastIndex(x => x.StartsWith("GET /", StringComparison.Ordinal)), string.Join('\n', lines));
            await load.More(50); // by the one that is left
            await load.HasNotFailed();

            var events = (await platform.Get("events", "--field-selector", $"involvedObject.name={victim.Name}"))["items"]!.AsArray().ToLookup(x => (string)x!["reason"]!, x => (string)x!["message"]!);
            Assert.Contains("makes room on agent-0 for pod default/vip of priority 1000", events["Preempted"].Single(), StringComparison.Ordinal);
            Assert.Matches("^Waiting for .+, at most .+ s, before the containers are told to stop$", events["Draining"].Single());
            Assert.Matches(@"^Stopping container web \(drained after \d+(\.\d+)? s, .+ s to end\)$", events["Killing"].Single());
        });
    }

    private static string Vip(string cpu) => $$"""
        apiVersion: scheduling.k8s.io/v1
        kind: PriorityClass
        metadata: {name: high}
        value: 1000
        ---
        apiVersion: v1
        kind: Pod
        metadata: {name: vip}
        spec:
          priorityClassName: high
          terminationGracePeriodSeconds: 3
          containers:
          - name: main
            command: [sleep, "1000"]
            resources: {requests: {cpu: "{{cpu}}", memory: 32Mi} }
        """;

    /// <summary>The host ports that DNS names.</summary>
    private static async Task<List<int>> Names(RunningPlatform platform) =>
        [.. (await ChildProcess.Run("dig", ["@127.0.0.1", "-p", $"{platform.Ports.Dns}", "+time=5", "+short", "_web._tcp.declarative.mesos", "SRV"])).Succeeds().Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(x => int.Parse(x.Split(' ')[2], CultureInfo.InvariantCulture))];

    /// <summary>By endpoint, as <c>/haproxy?stats;csv</c> says it.</summary>
    private static async Task<Dictionary<string, int>> InFlight(RunningPlatform platform)
    {
        var lines = (await platform.Http.GetStringAsync(new Uri($"http://127.0.0.1:{platform.Ports.LbAdmin}/haproxy?stats;csv"))).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var column = Array.IndexOf(lines[0][2..].Split(','), "scur");
        return lines.Skip(1).Select(x => x.Split(',')).Where(x => x[0] == $"web_{Port}" && x[1] is not ("FRONTEND" or "BACKEND")).ToDictionary(x => x[1], x => int.Parse(x[column], CultureInfo.InvariantCulture));
    }

    private sealed record Endpoint(string Name, string Output, int HostPort)
    {
        /// <summary>What it has written so far.</summary>
        public List<string> Lines() => [.. File.ReadAllLines(Output)];
    }
}
