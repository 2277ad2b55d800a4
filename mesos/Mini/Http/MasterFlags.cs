using Declarative.Mesos.Mini.Master;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The options under the names of a real master's flags.</summary>
internal static class MasterFlags
{
    public static IEnumerable<(string Name, string Value)> Of(MasterOptions options)
    {
        yield return ("agent_ping_timeout", Seconds(options.AgentPingTimeout));
        yield return ("agent_reregister_timeout", Seconds(options.AgentReregisterTimeout));
        yield return ("allocation_interval", Seconds(options.AllocationInterval));
        yield return ("allocator", "hierarchical");
        var authenticates = options.Credentials is null ? "false" : "true";
        yield return ("authenticate_frameworks", "false");
        yield return ("authenticate_http_frameworks", authenticates);
        yield return ("authenticate_http_readonly", authenticates);
        yield return ("authenticate_http_readwrite", authenticates);
        if (options.Cluster is { } cluster)
            yield return ("cluster", cluster);
        yield return ("framework_sorter", "drf");
        yield return ("hostname", options.Hostname);
        yield return ("ip", options.Ip);
        yield return ("max_agent_ping_timeouts", options.MaxAgentPingTimeouts.ToString());
        yield return ("max_completed_frameworks", options.MaxCompletedFrameworks.ToString());
        yield return ("max_completed_tasks_per_framework", options.MaxCompletedTasksPerFramework.ToString());
        yield return ("max_unreachable_tasks_per_framework", options.MaxUnreachableTasksPerFramework.ToString());
        yield return ("min_allocatable_resources", "cpus:0.01|mem:32");
        if (options.OfferTimeout is { } offers)
            yield return ("offer_timeout", Seconds(offers));
        yield return ("port", options.Port.ToString());
        yield return ("role_sorter", "drf");
    }

    private static string Seconds(TimeSpan time) => FormattableString.Invariant($"{time.TotalSeconds}secs");
}
