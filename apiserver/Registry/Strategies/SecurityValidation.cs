namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Security contexts of pods and containers (Kubernetes: validatePodSpecSecurityContext, ValidateSecurityContext).</summary>
internal static class SecurityValidation
{
    /// <summary>Linux' user and group ids, as far as Kubernetes takes them.</summary>
    private const long IdMax = int.MaxValue;

    public static void Pod(Part spec)
    {
        if (spec.Json.Flag("shareProcessNamespace") && spec.Json.Flag("hostPID")) spec.Invalid("shareProcessNamespace", "ShareProcessNamespace and HostPID cannot both be enabled");
        if (spec.Child("securityContext") is not { } context) return;
        Ids(context);
        context.InRange("fsGroup", 0, IdMax);
        context.OneOf("fsGroupChangePolicy", "Always", "OnRootMismatch");
        context.OneOf("supplementalGroupsPolicy", "Merge", "Strict");
        foreach (var (group, at) in context.Texts("supplementalGroups"))
        {
            if (!long.TryParse(group, out var id) || id is < 0 or > IdMax) context.Causes.Add(Metadata.Invalid(at, group, $"must be between 0 and {IdMax}, inclusive"));
        }
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var sysctl in context.Items("sysctls"))
        {
            if (sysctl.Needs("name") && !seen.Add(sysctl.Text("name"))) context.Causes.Add(Rules.Duplicate(sysctl.At("name"), sysctl.Text("name")));
        }
        Profile(context);
    }

    public static void Container(Part container)
    {
        if (container.Child("securityContext") is not { } context) return;
        Ids(context);
        Profile(context);
        context.OneOf("procMount", "Default", "Unmasked");
        if (!context.Has("allowPrivilegeEscalation") || context.Json.Flag("allowPrivilegeEscalation")) return;
        if (context.Json.Flag("privileged")) context.Causes.Add(Metadata.Invalid(context.Path, "", "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
        if (context.Child("capabilities") is { } capabilities && capabilities.Texts("add").Any(x => x.Value == "CAP_SYS_ADMIN"))
        {
            context.Causes.Add(Metadata.Invalid(context.Path, "", "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
        }
    }

    private static void Ids(Part context)
    {
        context.InRange("runAsUser", 0, IdMax);
        context.InRange("runAsGroup", 0, IdMax);
    }

    private static void Profile(Part context)
    {
        foreach (var name in (ReadOnlySpan<string>)["seccompProfile", "appArmorProfile"])
        {
            if (context.Child(name) is not { } profile || !profile.Needs("type", "type is required when a profile is set")) continue;
            profile.OneOf("type", "Localhost", "RuntimeDefault", "Unconfined");
            var local = profile.Text("type") == "Localhost";
            if (local && profile.Needs("localhostProfile", "must be set when profile type is Localhost")) profile.Form("localhostProfile", Forms.RelativePathError);
            if (!local && profile.Has("localhostProfile")) profile.Invalid("localhostProfile", "can only be set when profile type is Localhost");
        }
    }
}
