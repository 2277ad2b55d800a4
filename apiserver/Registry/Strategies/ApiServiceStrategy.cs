using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.CustomResources;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>
/// One version of an API group and who serves it (Kubernetes: kube-aggregator, apiregistration/validation). This server serves its own, and hands
/// requests on to nobody: one that names a Service is stored without an effect.
/// </summary>
internal sealed class ApiServiceStrategy : Strategy
{
    private const int GroupPriorityMax = 20_000;
    private const int VersionPriorityMax = 1000;

    public ApiServiceStrategy() => HasStatus = true;

    public override bool HasGeneration => false;

    public override string? NameError(string name) => Names.PathSegmentError(name);

    public override void Default(JsonObject json) => json.Need("spec").Object("service")?.Default("port", 443);

    /// <summary>What is served here is available from the first moment.</summary>
    public override void PrepareForCreate(JsonObject json, WriteContext context)
    {
        if (json.Object("spec")?.Object("service") is null) LocalServices.SetAvailable(json, context.Time.GetUtcNow());
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = new Part(json.Need("spec"), "spec", causes);
        var wanted = $"{spec.Text("version")}.{spec.Text("group")}";
        if (Metadata.Name(json) != wanted) causes.Add(Metadata.Invalid("metadata.name", Metadata.Name(json), $"must be `spec.version+\".\"+spec.group`: \"{wanted}\""));
        if (spec.Text("group").Length > 0) spec.Form("group", Names.SubdomainError);
        else if (spec.Text("version") != "v1") causes.Add(Metadata.Required("spec.group", "only v1 may have an empty group and it better be legacy kube"));
        if (spec.Needs("version")) spec.Form("version", Names.DnsLabel1035Error);
        Within("groupPriorityMinimum", GroupPriorityMax);
        Within("versionPriority", VersionPriorityMax);
        var given = json.Need("spec");
        if (given.Flag("insecureSkipTLSVerify") && given.Text("caBundle").Length > 0) causes.Add(Metadata.InvalidJson("spec.insecureSkipTLSVerify", given["insecureSkipTLSVerify"], "may not be true if caBundle is present"));
        if (given.Object("service") is not { } service)
        {
            if (given["caBundle"] is not null) causes.Add(Metadata.Invalid("spec.caBundle", "<caBundle>", "local APIServices may not have a caBundle"));
            if (given.Flag("insecureSkipTLSVerify")) causes.Add(Metadata.InvalidJson("spec.insecureSkipTLSVerify", given["insecureSkipTLSVerify"], "local APIServices may not have insecureSkipTLSVerify"));
            return;
        }
        foreach (var name in (ReadOnlySpan<string>)["namespace", "name"])
        {
            if (service.Text(name).Length == 0) causes.Add(Metadata.Required($"spec.service.{name}"));
        }
        if (service.Number("port") is < 1 or > 65535) causes.Add(Metadata.InvalidJson("spec.service.port", service["port"], "port is not valid: must be between 1 and 65535, inclusive"));

        void Within(string name, int most)
        {
            if (json.Need("spec").Number(name) is not { } value || value < 1 || value > most) causes.Add(Metadata.InvalidJson($"spec.{name}", json.Need("spec")[name], $"must be positive and less than {most}"));
        }
    }

    public override void Warn(JsonObject json, JsonObject? old, ICollection<string> warnings)
    {
        if (json.Object("spec")?.Object("service") is not null) warnings.Add($"{Metadata.Name(json)} is stored, but requests for it are handed on to nobody here");
    }
}
