using System.Globalization;
using Declarative.Mesos.Mini.Allocator;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.QuotaApi;
using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Master;

/// <summary>What operators change. What Mesos keeps in its registry is written before the call is answered.</summary>
internal sealed class OperatorDesk(Cluster cluster, AgentDesk agents, OperationDesk operations, MaintenanceDesk maintenance, DrainDesk drains)
{
    private DateTimeOffset _loggingUntil;
    private uint _logging;

    public OperationDesk Operations => operations;
    public MaintenanceDesk Maintenance => maintenance;
    public DrainDesk Drains => drains;

    /// <summary>0, or what SET_LOGGING_LEVEL asked for until its time is over.</summary>
    public uint LoggingLevel => cluster.Now < _loggingUntil ? _logging : 0;

    public CallOutcome SetLoggingLevel(uint level, DurationInfo duration)
    {
        if (duration.Nanoseconds < 0)
            return CallOutcome.Refused("'duration' must not be negative");
        (_logging, _loggingUntil) = (level, cluster.Now + TimeSpan.FromTicks(duration.Nanoseconds / 100));
        return CallOutcome.Done;
    }

    public CallOutcome Teardown(FrameworkID id)
    {
        if (!cluster.Frameworks.TryGetValue(id.Value, out var framework))
            return CallOutcome.Refused($"No framework found with ID {id.Value}");
        cluster.Remove(framework);
        return CallOutcome.Done;
    }

    public CallOutcome MarkGone(AgentID id) => agents.MarkGone(id.Value) ? CallOutcome.Done : new(404, $"Agent '{id.Value}' not found");

    /// <summary>The roles named share by these from now on. Their offers are withdrawn and made anew, as in Mesos.</summary>
    public CallOutcome UpdateWeights(IReadOnlyCollection<WeightInfo> weights)
    {
        foreach (var weight in weights)
        {
            if (FrameworkValidation.RoleFault(weight.Role) is { } fault)
                return CallOutcome.Refused($"Failed to validate update weights request JSON: Invalid role '{weight.Role}': {fault}");
            if (!(weight.Weight > 0) || double.IsInfinity(weight.Weight))
                return CallOutcome.Refused($"Failed to validate update weights request JSON: Invalid weight '{Text(weight.Weight)}' of role '{weight.Role}': weights must be positive");
        }

        foreach (var weight in weights)
            cluster.Allocator.Roles.SetWeight(weight.Role, weight.Weight);
        var named = weights.Select(weight => weight.Role).ToHashSet(StringComparer.Ordinal);
        RescindOffers(named.Contains);
        cluster.Allocate();
        return CallOutcome.Done;
    }

    /// <summary>UPDATE_QUOTA: all of them, or none.</summary>
    public CallOutcome UpdateQuota(IReadOnlyCollection<QuotaConfig> configs, bool force)
    {
        foreach (var config in configs)
        {
            if (QuotaFault(config, force) is { } fault)
                return CallOutcome.Refused($"Invalid QuotaConfig: {fault}");
        }

        if (!force && CapacityFault(configs) is { } lack)
            return CallOutcome.Refused(lack);
        foreach (var config in configs)
            cluster.Allocator.Quotas.Set(config.Clone());
        // Offers that are out already may be too many for a limit, or be what a guarantee needs.
        var named = configs.Select(config => config.Role).ToHashSet(StringComparer.Ordinal);
        var needed = cluster.Allocator.Quotas.HasGuarantees;
        RescindOffers(role => needed || named.Contains(RoleTree.Top(role)));
        cluster.Allocate();
        return CallOutcome.Done;
    }

    /// <summary>SET_QUOTA, the older call: guarantee and limit are one.</summary>
    public CallOutcome SetQuota(QuotaRequest request)
    {
        var config = new QuotaConfig { Role = request.Role };
        foreach (var resource in request.Guarantee)
        {
            if (resource.Scalar is null)
                return CallOutcome.Refused($"Failed to validate set quota request: Resource '{resource.Name}' is not a scalar");
            config.Guarantees[resource.Name] = resource.Scalar;
            config.Limits[resource.Name] = resource.Scalar;
        }

        return cluster.Allocator.Quotas.Configs.Any(known => known.Role == request.Role && known.Guarantees.Count > 0)
            ? CallOutcome.Refused($"Failed to validate set quota request: Quota already set for role '{request.Role}'")
            : UpdateQuota([config], request.Force);
    }

    public CallOutcome RemoveQuota(string role)
    {
        if (!cluster.Allocator.Quotas.Configs.Any(known => known.Role == role))
            return CallOutcome.Refused($"Failed to remove quota: Role '{role}' has no quota set");
        cluster.Allocator.Quotas.Remove(role);
        cluster.Allocate();
        return CallOutcome.Done;
    }

    private string? QuotaFault(QuotaConfig config, bool force)
    {
        var role = config.Role;
        if (FrameworkValidation.RoleFault(role) is { } fault)
            return $"Invalid role '{role}': {fault}";
        if (role == "*")
            return "Quota on the default role '*' is not allowed";
        if (RoleTree.Top(role) != role)
            return $"Setting quota on nested role '{role}' is not supported yet; set it on '{RoleTree.Top(role)}'";
        foreach (var (name, amount) in config.Guarantees.Concat(config.Limits))
        {
            if (!Quantities.Names.Contains(name))
                return $"Quota of '{name}' is not supported; it can be set of {string.Join(", ", Quantities.Names)}";
            if (!double.IsFinite(amount.Value) || amount.Value < 0)
                return $"Invalid quota of '{name}' of role '{role}': {Text(amount.Value)} is not a non-negative number";
        }

        foreach (var (name, guarantee) in config.Guarantees)
        {
            if (config.Limits.TryGetValue(name, out var limit) && Milli.Of(guarantee.Value) > Milli.Of(limit.Value))
                return $"'{name}' of role '{role}': the guarantee {Text(guarantee.Value)} is more than the limit {Text(limit.Value)}";
        }

        foreach (var (name, limit) in config.Limits.Where(_ => !force))
        {
            var consumed = Reserved(role, name) + InUse(role, name);
            if (consumed > Milli.Of(limit.Value))
                return $"Role '{role}' is already consuming '{name}:{Milli.ToText(consumed)}'; this is more than the requested limits '{name}:{Text(limit.Value)}'"
                    + " (use 'force' flag to bypass this check)";
        }

        return null;
    }

    private string? CapacityFault(IReadOnlyCollection<QuotaConfig> configs)
    {
        var changed = configs.Select(config => config.Role).ToHashSet(StringComparer.Ordinal);
        var all = cluster.Allocator.Quotas.Configs.Where(known => !changed.Contains(known.Role)).Concat(configs).ToList();
        foreach (var name in Quantities.Names)
        {
            var promised = all.Sum(config => config.Guarantees.TryGetValue(name, out var guarantee) ? Milli.Of(guarantee.Value) : 0);
            if (promised > 0 && promised > cluster.Allocator.Total[name])
                return $"Not enough available cluster capacity to reasonably satisfy quota guarantees of '{name}:{Milli.ToText(promised)}'"
                    + " (use 'force' flag to bypass this check)";
        }

        return null;
    }

    private long Reserved(string role, string name) => cluster.Allocator.Roles.Path(role)[0].Reserved[name];

    // Offers are not consumption: they can be taken back.
    private long InUse(string role, string name)
    {
        var sum = new Quantities();
        foreach (var (owner, used) in cluster.Frameworks.Values.SelectMany(OperatorViews.Used))
        {
            if (RoleTree.Top(owner) == role)
                sum.AddUnreserved(used, 1);
        }

        return sum[name];
    }

    private void RescindOffers(Func<string, bool> ofRole)
    {
        foreach (var offer in cluster.Offers.Values.Where(offer => ofRole(offer.Role)).ToList())
            cluster.Rescind(offer);
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
