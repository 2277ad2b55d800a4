using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.Admission.Webhooks;

/// <summary>Configurations of admission webhooks (Kubernetes: pkg/apis/admissionregistration/validation).</summary>
internal sealed class WebhookConfigurationStrategy(bool mutating) : Strategy
{
    private const int SecondsMax = 30;
    private const int NameSegmentsMin = 3;

    public override bool HasGeneration => true;

    public override void Default(JsonObject json)
    {
        foreach (var x in json.List("webhooks")?.OfType<JsonObject>() ?? [])
        {
            x.Default("failurePolicy", "Fail");
            x.Default("matchPolicy", "Equivalent");
            x.Default("namespaceSelector", new JsonObject());
            x.Default("objectSelector", new JsonObject());
            x.Default("timeoutSeconds", 10);
            if (mutating) x.Default("reinvocationPolicy", "Never");
            if (x.Object("clientConfig")?.Object("service") is { } service) service.Default("port", 443);
            RuleChecks.Default(x.List("rules"));
        }
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var webhooks = json.List("webhooks") ?? [];
        for (var i = 0; i < webhooks.Count; i++)
        {
            if (webhooks[i] is not JsonObject x) continue;
            var path = $"webhooks[{i}]";
            var name = x.Text("name");
            if (name.Length == 0) causes.Add(Metadata.Required($"{path}.name"));
            else if (Names.SubdomainError(name) is { } wrong) causes.Add(Metadata.Invalid($"{path}.name", name, wrong));
            else if (name.Split('.').Length < NameSegmentsMin) causes.Add(Metadata.Invalid($"{path}.name", name, "should be a domain with at least three segments separated by dots"));
            else if (!names.Add(name)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"{path}.name"));
            var reviews = OperationRule.Texts(x, "admissionReviewVersions");
            if (reviews.Count == 0) causes.Add(Metadata.Required($"{path}.admissionReviewVersions", "must specify one of v1"));
            else if (!reviews.Contains("v1")) causes.Add(Metadata.Invalid($"{path}.admissionReviewVersions", string.Join(", ", reviews), "must include at least one of v1"));
            if (x.Text("sideEffects") is not ("None" or "NoneOnDryRun")) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{x.Text("sideEffects")}\": supported values: \"None\", \"NoneOnDryRun\"", $"{path}.sideEffects"));
            PodValidation.OneOf(x.Text("failurePolicy"), ["Fail", "Ignore"], $"{path}.failurePolicy", causes);
            PodValidation.OneOf(x.Text("matchPolicy"), ["Equivalent", "Exact"], $"{path}.matchPolicy", causes);
            if (mutating) PodValidation.OneOf(x.Text("reinvocationPolicy"), ["IfNeeded", "Never"], $"{path}.reinvocationPolicy", causes);
            if (x.Number("timeoutSeconds") is { } seconds && seconds is < 1 or > SecondsMax) causes.Add(Metadata.Invalid($"{path}.timeoutSeconds", seconds, "the timeout value must be between 1 and 30 seconds"));
            ClientConfig.Check(x.Object("clientConfig") ?? [], $"{path}.clientConfig", causes);
            RuleChecks.Check(x.List("rules"), $"{path}.rules", causes);
            MatchConditions.Read(x.List("matchConditions"), MatchConditions.Types(), $"{path}.matchConditions", causes);
        }
    }
}
