using Declarative.Mesos.Protocol;
using Capability = Declarative.Mesos.Protocol.FrameworkInfo.Types.Capability.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Whether a FrameworkInfo can be subscribed. Texts as a real master words them.</summary>
internal static class FrameworkValidation
{
    public static string? Fault(FrameworkInfo framework, IEnumerable<string> suppressedRoles)
    {
        var multiRole = framework.Capabilities.Any(capability => capability.Type == Capability.MultiRole);
#pragma warning disable CS0612 // The single role is how frameworks without MULTI_ROLE say theirs.
        if (multiRole && framework.HasRole)
            return "'FrameworkInfo.role' must not be set when the framework is MULTI_ROLE capable";
        if (!multiRole && framework.Roles.Count > 0)
            return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";
        if (framework.Roles.Distinct(StringComparer.Ordinal).Count() != framework.Roles.Count)
            return "'FrameworkInfo.roles' contains duplicate items";
        foreach (var role in framework.Roles)
        {
            if (RoleFault(role) is { } fault)
                return $"'FrameworkInfo.roles' contains invalid role: {fault}";
        }

        if (framework.HasRole && RoleFault(framework.Role) is { } wrong)
            return $"'FrameworkInfo.role' is not a valid role: {wrong}";
#pragma warning restore CS0612
        if (framework.Id is { } id && id.Value.AsSpan().ContainsAny("/\\ \t\n"))
            return $"'{id.Value}' contains invalid characters";
        if (!double.IsFinite(framework.FailoverTimeout) || framework.FailoverTimeout < 0)
            return $"The framework failover_timeout ({framework.FailoverTimeout}) is invalid";
        var roles = Roles(framework);
        foreach (var role in suppressedRoles)
        {
            if (!roles.Contains(role))
                return $"Suppressed role '{role}' is not contained in the list of roles";
        }

        return null;
    }

    /// <summary>The roles a framework subscribes to, in whichever of the two forms it says so.</summary>
    public static IReadOnlyList<string> Roles(FrameworkInfo framework)
    {
        if (framework.Capabilities.Any(capability => capability.Type == Capability.MultiRole))
            return framework.Roles;
#pragma warning disable CS0612
        return [framework.Role];
#pragma warning restore CS0612
    }

    public static string? RoleFault(string role)
    {
        if (role == "*")
            return null;
        if (role.Length == 0)
            return "Empty role name is invalid";
        if (role.StartsWith('/'))
            return $"Role '{role}' cannot start with a slash";
        if (role.EndsWith('/'))
            return $"Role '{role}' cannot end with a slash";
        foreach (var component in role.Split('/'))
        {
            if (component.Length == 0)
                return $"Role '{role}' cannot contain two adjacent slashes";
            if (component is "." or "..")
                return $"Role component '{component}' is invalid";
            if (component == "*")
                return $"Role '{role}' cannot include '*' as one of its components";
            if (component.StartsWith('-'))
                return $"Role component '{component}' is invalid because it begins with a dash";
            if (component.AsSpan().ContainsAny(" \t\n\r\v\f\b"))
                return $"Role component '{component}' is invalid because it contains backspace or whitespace";
        }

        return null;
    }
}
