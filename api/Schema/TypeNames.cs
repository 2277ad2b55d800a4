namespace Declarative.Api.Schema;

/// <summary>Type names of the table start with a package; this maps packages to API groups and back.</summary>
public static class TypeNames
{
    // (package, API group): kinds.tsv. Other packages are group names themselves.
    private static readonly (string Package, string Group)[] Packages =
    [
        ("core", ""),
        ("apps", "apps"),
        ("batch", "batch"),
        ("autoscaling", "autoscaling"),
        ("policy", "policy"),
        ("discovery", "discovery.k8s.io"),
        ("networking", "networking.k8s.io"),
        ("rbac", "rbac.authorization.k8s.io"),
        ("coordination", "coordination.k8s.io"),
        ("events", "events.k8s.io"),
        ("scheduling", "scheduling.k8s.io"),
        ("storage", "storage.k8s.io"),
        ("apiextensions", "apiextensions.k8s.io"),
        ("admissionregistration", "admissionregistration.k8s.io"),
        ("admission", "admission.k8s.io"),
        ("authentication", "authentication.k8s.io"),
        ("authorization", "authorization.k8s.io"),
        ("certificates", "certificates.k8s.io"),
        ("node", "node.k8s.io"),
        ("resource", "resource.k8s.io"),
        ("flowcontrol", "flowcontrol.apiserver.k8s.io"),
        ("storagemigration", "storagemigration.k8s.io"),
        ("apiregistration", "apiregistration.k8s.io"),
        ("apidiscovery", "apidiscovery.k8s.io"),
        ("meta", "meta.k8s.io"),
        ("declarative", "declarative.mesos"),
    ];

    /// <summary>The type name of a kind: <c>("apps", "v1", "Deployment")</c> → <c>apps.v1.Deployment</c>.</summary>
    public static string Of(string group, string version, string kind)
    {
        foreach (var (package, name) in Packages)
        {
            if (string.Equals(name, group, StringComparison.Ordinal))
            {
                return $"{package}.{version}.{kind}";
            }
        }

        return $"{group}.{version}.{kind}";
    }

    /// <summary>The kind of a type name: <c>core.v1.Pod</c> → <c>("", "v1", "Pod")</c>.</summary>
    public static (string Group, string Version, string Kind) KindOf(string typeName)
    {
        var last = typeName.LastIndexOf('.');
        var dot = typeName.LastIndexOf('.', last - 1);
        var package = typeName[..dot];
        var group = package;
        foreach (var row in Packages)
        {
            if (string.Equals(row.Package, package, StringComparison.Ordinal))
            {
                group = row.Group;
            }
        }

        return (group, typeName[(dot + 1)..last], typeName[(last + 1)..]);
    }
}
