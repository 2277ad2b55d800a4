using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>How a pod is named, resolves names and stands on its host (Kubernetes: validateDNSPolicy, validatePodDNSConfig, ValidateHostAliases and the end of ValidatePodSpec).</summary>
internal static class HostValidation
{
    // What libc's resolver takes.
    private const int NameserversMax = 3;
    private const int SearchesMax = 32;
    private const int SearchCharsMax = 2048;

    public static void Spec(Part spec)
    {
        spec.OneOf("dnsPolicy", "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None");
        Resolver(spec);
        foreach (var alias in spec.Items("hostAliases"))
        {
            if (Forms.AddressError(alias.Text("ip")) is { } error) alias.Invalid("ip", error);
            foreach (var (name, at) in alias.Texts("hostnames"))
            {
                if (Names.SubdomainError(name) is { } wrong) alias.Causes.Add(Metadata.Invalid(at, name, wrong));
            }
        }
        spec.Form("hostname", Names.LabelError);
        spec.Form("subdomain", Names.LabelError);
        spec.Form("nodeName", Names.SubdomainError);
        spec.Form("serviceAccountName", Names.SubdomainError);
        spec.Form("priorityClassName", Names.SubdomainError);
        spec.Form("runtimeClassName", Names.SubdomainError);
        spec.OneOf("preemptionPolicy", "PreemptLowerPriority", "Never");
        spec.InRange("activeDeadlineSeconds", 1, int.MaxValue);
        if (spec.Child("os") is { } os && os.Needs("name")) os.OneOf("name", "linux", "windows");
        foreach (var gate in spec.Items("readinessGates"))
        {
            if (Names.QualifiedNameError(gate.Text("conditionType")) is { } error) gate.Invalid("conditionType", error);
        }
        if (!spec.Json.Flag("hostNetwork")) return;
        foreach (var port in spec.Items("containers").SelectMany(x => x.Items("ports")))
        {
            if (port.Number("hostPort") is { } host && host != port.Number("containerPort")) port.Invalid("hostPort", "must match `containerPort` when `hostNetwork` is true");
        }
    }

    private static void Resolver(Part spec)
    {
        var config = spec.Child("dnsConfig");
        if (spec.Text("dnsPolicy") == "None")
        {
            if (config is null) spec.Needs("dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None");
            else if (!config.Value.Needs("nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")) return;
        }
        if (config is not { } dns) return;
        var (servers, searches) = (dns.Texts("nameservers").ToList(), dns.Texts("searches").ToList());
        if (servers.Count > NameserversMax) dns.Invalid("nameservers", $"must not have more than {NameserversMax} nameservers");
        foreach (var (server, at) in servers)
        {
            if (Forms.AddressError(server) is { } error) dns.Causes.Add(Metadata.Invalid(at, server, error));
        }
        if (searches.Count > SearchesMax) dns.Invalid("searches", $"must not have more than {SearchesMax} search paths");
        if (searches.Sum(x => x.Value.Length + 1) > SearchCharsMax + 1) dns.Invalid("searches", $"must not have more than {SearchCharsMax} characters (including spaces) in the search list");
        foreach (var (search, at) in searches)
        {
            if (Names.SubdomainError(search.EndsWith('.') ? search[..^1] : search) is { } error) dns.Causes.Add(Metadata.Invalid(at, search, error));
        }
        foreach (var option in dns.Items("options"))
        {
            if (option.Text("name").Length == 0) dns.Causes.Add(Metadata.Required(option.Path, "must not be empty"));
        }
    }
}
