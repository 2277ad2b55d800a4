using System.Globalization;
using Declarative.Mesos.Mini.Master;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The options under the names of a real master's flags; what it has no choice in is said too where a real one would name it.</summary>
internal static class MasterFlags
{
    public static IEnumerable<(string Name, string Value)> Of(MasterOptions options)
    {
        var authenticates = options.Credentials is null ? "false" : "true";
        yield return ("agent_ping_timeout", DurationText.Of(options.AgentPingTimeout));
        yield return ("agent_reregister_timeout", DurationText.Of(options.AgentReregisterTimeout));
        yield return ("allocation_interval", DurationText.Of(options.AllocationInterval));
        yield return ("allocator", "hierarchical");
        yield return ("authenticate_agents", "false");
        yield return ("authenticate_frameworks", "false");
        yield return ("authenticate_http_frameworks", authenticates);
        yield return ("authenticate_http_readonly", authenticates);
        yield return ("authenticate_http_readwrite", authenticates);
        if (options.Cluster is { } cluster)
            yield return ("cluster", cluster);
        yield return ("filter_gpu_resources", "true");
        yield return ("framework_sorter", "drf");
        yield return ("hostname", options.Hostname);
        yield return ("hostname_lookup", "false");
        yield return ("http_authenticators", "basic");
        if (options.Credentials is not null)
            yield return ("http_framework_authenticators", "basic");
        yield return ("ip", options.Ip);
        yield return ("max_agent_ping_timeouts", Number(options.MaxAgentPingTimeouts));
        yield return ("max_completed_frameworks", Number(options.MaxCompletedFrameworks));
        yield return ("max_completed_tasks_per_framework", Number(options.MaxCompletedTasksPerFramework));
        yield return ("max_unreachable_tasks_per_framework", Number(options.MaxUnreachableTasksPerFramework));
        yield return ("min_allocatable_resources", "cpus:0.01|mem:32");
        if (options.OfferTimeout is { } offers)
            yield return ("offer_timeout", DurationText.Of(offers));
        yield return ("port", Number(options.Port));
        yield return ("publish_per_framework_metrics", "false");
        yield return ("require_agent_domain", "false");
        yield return ("role_sorter", "drf");
        yield return ("root_submissions", "true");
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
