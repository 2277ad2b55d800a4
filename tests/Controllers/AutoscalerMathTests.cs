using System.Globalization;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Controllers.HorizontalPodAutoscalers;
using Xunit;

namespace Declarative.Tests.Controllers;

/// <summary>From usage to replicas and from a recommendation to what is allowed, by the examples of the Kubernetes documentation.</summary>
public sealed class AutoscalerMathTests
{
    private static readonly DateTimeOffset Now = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly AutoscalerOptions Options = new();

    /// <param name="pods">
    /// One word each: what it uses in thousandths of a CPU; <c>?</c> = nothing is told, <c>p</c> = Pending, <c>n200</c> = has not become ready yet,
    /// <c>o200</c> = was ready and is not any more, <c>d200</c> = is on its way out, <c>f200</c> = failed.
    /// </param>
    [Theory]
    // desiredReplicas = ceil(currentReplicas × currentMetricValue ÷ desiredMetricValue); 200m at a target of 100m doubles, 50m halves
    [InlineData("200", "1 replica: 2 of 200m")]
    [InlineData("200 200", "2 replicas: 4 of 200m")]
    [InlineData("50 50 50 50", "4 replicas: 2 of 50m")]
    // within the tolerance of 0.1 nothing happens
    [InlineData("110 110", "2 replicas: 2 of 110m")]
    [InlineData("112 112", "2 replicas: 3 of 112m")]
    [InlineData("90 90 90", "3 replicas: 3 of 90m")]
    [InlineData("60 60 60", "3 replicas: 2 of 60m")]
    // pods that go or have failed are not looked at
    [InlineData("200 d900 f900", "1 replica: 2 of 200m")]
    // nothing is told: at a scale up as if it used nothing, at a scale down as if it used its target
    [InlineData("300 300 ?", "3 replicas: 6 of 300m")]
    [InlineData("150 150 ?", "3 replicas: 3 of 150m")]
    [InlineData("10 10 10 ?", "4 replicas: 2 of 10m")]
    [InlineData("10 ?", "2 replicas: 2 of 10m")]
    // not ready yet: at a scale up as if it used nothing
    [InlineData("300 p", "2 replicas: 3 of 300m")]
    [InlineData("300 n900", "2 replicas: 3 of 300m")]
    [InlineData("150 p", "2 replicas: 2 of 150m")]
    [InlineData("50 50 p", "3 replicas: 1 of 50m")]
    [InlineData("300 o300", "2 replicas: 6 of 300m")]
    [InlineData("p n200", "did not receive metrics for targeted pods (pods might be unready)")]
    [InlineData("", "no pods returned by selector while calculating replica count")]
    public void An_average_value(string pods, string expected)
    {
        var (all, usages) = Read(pods);
        var current = all.Count(x => !x.Metadata.IsDeleting && x.Status.Phase != "Failed");
        var proposal = new ReplicaCalculator(Options, Now).ByAverage(current, Quantity.Parse("100m"), "cpu", all, usages, new(0.1, 0.1));
        Assert.Equal(expected, proposal.Error.Length > 0 ? proposal.Error : $"{current} replica{(current == 1 ? "" : "s")}: {proposal.Replicas} of {new Quantity(proposal.AverageMilli)}");
    }

    [Theory]
    [InlineData("200 200", 50, "4 at 100%")] // each pod requests 200m
    [InlineData("120 120", 50, "3 at 60%")]
    [InlineData("109 109", 50, "2 at 54%")]
    [InlineData("50 50 50", 50, "2 at 25%")]
    [InlineData("20 ?", 50, "2 at 10%")] // the other as if it used all it requests, which would turn the decision round
    [InlineData("20 20 20 20 ?", 80, "2 at 10%")]
    [InlineData("20 20 20 20 ?", 300, "2 at 10%")] // or its target, where that is more
    public void A_utilization(string pods, int target, string expected)
    {
        var (all, usages) = Read(pods);
        var proposal = new ReplicaCalculator(Options, Now).ByUtilization(all.Count, target, "cpu", "", all, usages, new(0.1, 0.1));
        Assert.Equal(expected, $"{proposal.Replicas} at {proposal.Utilization}%");
    }

    [Fact]
    public void A_utilization_needs_the_request_of_each_container()
    {
        var (all, usages) = Read("200");
        Assert.Equal("missing request for memory in container c of Pod pod-0", new ReplicaCalculator(Options, Now).ByUtilization(1, 50, "memory", "", all, usages, default).Error);
    }

    [Fact]
    public void A_starting_pods_cpu_counts_from_when_it_was_ready()
    {
        // Ready since the middle of the window that the usage is of.
        var (all, _) = Read("900 100");
        List<Pod> pods = [all[0] with { Status = all[0].Status with { StartTime = Now.AddMinutes(-1), Conditions = [new() { Type = "Ready", Status = "True", LastTransitionTime = Now.AddSeconds(-15) }] } }, all[1]];
        var early = new Dictionary<string, PodUsage> { ["pod-0"] = new(900, Now, TimeSpan.FromSeconds(30)), ["pod-1"] = new(100, Now, TimeSpan.FromSeconds(30)) };
        var late = new Dictionary<string, PodUsage>(early) { ["pod-0"] = new(900, Now, TimeSpan.FromSeconds(10)) };
        var calculator = new ReplicaCalculator(Options, Now);
        Assert.Equal(2, calculator.ByAverage(2, Quantity.Parse("100m"), "cpu", pods, early, new(0.1, 0.1)).Replicas);
        Assert.Equal(10, calculator.ByAverage(2, Quantity.Parse("100m"), "cpu", pods, late, new(0.1, 0.1)).Replicas);
        Assert.Equal(10, calculator.ByAverage(2, Quantity.Parse("100m"), "memory", pods, early, new(0.1, 0.1)).Replicas);
    }

    /// <param name="past">Recommendations (<c>300s:5</c>) and changes (<c>10s:+4</c>) with how long ago they were.</param>
    [Theory]
    [InlineData("", 1, 9, "", "5 ReadyForNewScale ScaleUpLimit")] // the default: the larger of 4 pods and 100 % in 15 s
    [InlineData("", 8, 40, "", "16 ReadyForNewScale ScaleUpLimit")]
    [InlineData("", 5, 40, "10s:+4", "5 ReadyForNewScale ScaleUpLimit")]
    [InlineData("", 5, 40, "20s:+4", "10 ReadyForNewScale ScaleUpLimit")]
    [InlineData("", 90, 120, "", "100 ReadyForNewScale TooManyReplicas")]
    [InlineData("", 4, 6, "", "6 ReadyForNewScale DesiredWithinRange")]
    [InlineData("", 10, 2, "299s:10", "10 ScaleDownStabilized DesiredWithinRange")]
    [InlineData("", 10, 3, "301s:10 100s:5", "5 ScaleDownStabilized DesiredWithinRange")]
    [InlineData("", 10, 0, "301s:10", "1 ReadyForNewScale TooFewReplicas")]
    // "Example: change downscale stabilization window", "limit scale down rate", "disable scale down"
    [InlineData(""" "scaleDown":{"stabilizationWindowSeconds":60} """, 10, 2, "61s:10", "2 ReadyForNewScale DesiredWithinRange")]
    [InlineData(""" "scaleDown":{"stabilizationWindowSeconds":0,"policies":[{"type":"Percent","value":10,"periodSeconds":60}]} """, 80, 10, "", "72 ReadyForNewScale ScaleDownLimit")]
    [InlineData(""" "scaleDown":{"stabilizationWindowSeconds":0,"policies":[{"type":"Percent","value":10,"periodSeconds":60},{"type":"Pods","value":5,"periodSeconds":60}],"selectPolicy":"Min"} """, 80, 10, "", "75 ReadyForNewScale ScaleDownLimit")]
    [InlineData(""" "scaleDown":{"stabilizationWindowSeconds":0,"policies":[{"type":"Pods","value":4,"periodSeconds":60},{"type":"Percent","value":10,"periodSeconds":60}]} """, 72, 10, "30s:-8", "72 ReadyForNewScale ScaleDownLimit")]
    [InlineData(""" "scaleDown":{"stabilizationWindowSeconds":0,"selectPolicy":"Disabled"} """, 10, 2, "", "10 ReadyForNewScale ScaleDownLimit")]
    [InlineData(""" "scaleUp":{"stabilizationWindowSeconds":60} """, 2, 6, "30s:3", "3 ScaleUpStabilized DesiredWithinRange")]
    [InlineData(""" "scaleUp":{"policies":[{"type":"Percent","value":10,"periodSeconds":60}]} """, 10, 20, "", "11 ReadyForNewScale ScaleUpLimit")]
    [InlineData(""" "scaleUp":{"selectPolicy":"Min"} """, 10, 40, "", "14 ReadyForNewScale ScaleUpLimit")]
    public void What_the_behavior_allows(string behavior, int current, int desired, string past, string expected)
    {
        var spec = HorizontalPodAutoscaler.Read(System.Text.Encoding.UTF8.GetBytes($$$"""{"spec":{"minReplicas":1,"maxReplicas":100{{{(behavior.Length == 0 ? "" : ",\"behavior\":{" + behavior + "}")}}} } }""")).Spec;
        var history = new ScalingHistory();
        foreach (var word in past.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var (at, number) = (Now.AddSeconds(-double.Parse(word.Split("s:")[0], CultureInfo.InvariantCulture)), word.Split("s:")[1]);
            if (number[0] is '+' or '-') history.Change(int.Parse(number, CultureInfo.InvariantCulture), at);
            else history.Recommend(int.Parse(number, CultureInfo.InvariantCulture), at);
        }
        var allowed = new ScalingBehavior(spec, Options).Allow(current, desired, history, Now);
        Assert.Equal(expected, $"{allowed.Replicas} {allowed.AbleToScale.Reason} {allowed.ScalingLimited.Reason}");
        Assert.Equal(allowed.ScalingLimited.Reason != "DesiredWithinRange", allowed.ScalingLimited.IsTrue);
    }

    private static (List<Pod> Pods, Dictionary<string, PodUsage> Usages) Read(string pods)
    {
        var all = new List<Pod>();
        var usages = new Dictionary<string, PodUsage>();
        foreach (var word in pods.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            var (letter, name) = (char.IsDigit(word[0]) ? ' ' : word[0], $"pod-{all.Count}");
            if (word.TrimStart(letter) is { Length: > 0 } milli) usages[name] = new(long.Parse(milli, CultureInfo.InvariantCulture), Now, TimeSpan.FromSeconds(30));
            var started = Now.AddHours(-1);
            all.Add(new()
            {
                Metadata = new() { Name = name, DeletionTimestamp = letter == 'd' ? Now : null },
                Spec = new() { Containers = [new() { Name = "c", Resources = new() { Requests = new Dictionary<string, Quantity> { ["cpu"] = Quantity.Parse("200m") } } }] },
                Status = new()
                {
                    Phase = letter switch { 'p' => "Pending", 'f' => "Failed", _ => "Running" },
                    StartTime = started,
                    Conditions = [new() { Type = "Ready", Status = letter is 'n' or 'o' ? "False" : "True", LastTransitionTime = letter == 'o' ? Now.AddMinutes(-1) : started.AddSeconds(1) }],
                },
            });
        }
        return (all, usages);
    }
}
