using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Where environment variables and downward files take their values from (Kubernetes: ValidateEnv, ValidateEnvFrom, validateObjectFieldSelector, validateContainerResourceFieldSelector).</summary>
internal static class EnvValidation
{
    private static readonly string[] Fields =
        ["metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"];

    private static readonly string[] FileFields = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

    private static readonly string[] Resources =
        ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];

    private static readonly string[] Sources = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

    public static void Container(Part container)
    {
        foreach (var variable in container.Items("env"))
        {
            if (variable.Child("valueFrom") is { } source) Source(variable, source);
        }
        foreach (var from in container.Items("envFrom"))
        {
            from.Form("prefix", NameError);
            var found = 0;
            foreach (var name in (ReadOnlySpan<string>)["configMapRef", "secretRef"])
            {
                if (from.Child(name) is not { } reference) continue;
                found++;
                if (reference.Needs("name")) reference.Form("name", Names.SubdomainError);
            }
            if (found == 0) container.Causes.Add(Metadata.Invalid(from.Path, "", "must specify one of: `configMapRef` or `secretRef`"));
            if (found > 1) container.Causes.Add(Metadata.Invalid(from.Path, "", "may not have more than one field specified at a time"));
        }
    }

    public static string? NameError(string name) =>
        name.Contains('=', StringComparison.Ordinal) || name.Any(c => c is < ' ' or > '~') ? "a valid environment variable name consists of printable ASCII characters other than '='" : null;

    /// <summary>One file of a downwardAPI volume.</summary>
    public static void DownwardFile(Part item)
    {
        if (item.Child("fieldRef") is { } field) Field(field, FileFields);
        if (item.Child("resourceFieldRef") is { } resource && resource.Needs("containerName")) Resource(resource);
        if (item.Has("fieldRef") == item.Has("resourceFieldRef"))
        {
            item.Causes.Add(item.Has("fieldRef")
                ? Metadata.Invalid(item.Path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously")
                : Metadata.Required(item.Path, "one of fieldRef and resourceFieldRef is required"));
        }
    }

    private static void Source(Part variable, Part source)
    {
        if (source.Child("fieldRef") is { } field) Field(field, Fields);
        if (source.Child("resourceFieldRef") is { } resource) Resource(resource);
        foreach (var name in (ReadOnlySpan<string>)["configMapKeyRef", "secretKeyRef"])
        {
            if (source.Child(name) is not { } reference) continue;
            if (Names.SubdomainError(reference.Text("name")) is { } nameError) reference.Invalid("name", nameError);
            if (reference.Needs("key")) reference.Form("key", Rules.DataKeyError);
        }
        var found = Sources.Count(source.Has);
        if (found == 0) variable.Causes.Add(Metadata.Invalid(source.Path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"));
        // With a value beside it, PodValidation has said so already.
        else if (found > 1 && variable.Text("value").Length == 0) variable.Causes.Add(Metadata.Invalid(source.Path, "", "may not have more than one field specified at a time"));
    }

    private static void Field(Part reference, string[] known)
    {
        if (!reference.Needs("fieldPath")) return;
        var path = reference.Text("fieldPath");
        if (path.IndexOf("['", StringComparison.Ordinal) is > 0 and var open && path.EndsWith("']", StringComparison.Ordinal))
        {
            var (parent, key) = (path[..open], path[(open + 2)..^2]);
            if (parent is not ("metadata.annotations" or "metadata.labels")) reference.Causes.Add(Metadata.Invalid(reference.Path, parent, "does not support subscript"));
            else if (Names.QualifiedNameError(parent == "metadata.annotations" ? key.ToLowerInvariant() : key) is { } error) reference.Causes.Add(Metadata.Invalid(reference.Path, key, error));
            return;
        }
        reference.OneOf("fieldPath", known);
    }

    private static void Resource(Part reference)
    {
        if (!reference.Needs("resource")) return;
        var name = reference.Text("resource");
        if (!name.StartsWith("limits.hugepages-", StringComparison.Ordinal) && !name.StartsWith("requests.hugepages-", StringComparison.Ordinal)) reference.OneOf("resource", Resources);
    }
}
