using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.Admission.Policies;

internal sealed class PolicyStrategy : Strategy
{
    public PolicyStrategy() => HasStatus = true;

    public override void Default(JsonObject json)
    {
        var spec = json.Need("spec");
        spec.Default("failurePolicy", "Fail");
        if (spec.Object("matchConstraints") is not { } match) return;
        match.Default("matchPolicy", "Equivalent");
        match.Default("namespaceSelector", new JsonObject());
        match.Default("objectSelector", new JsonObject());
        RuleChecks.Default(match.List("resourceRules"));
        RuleChecks.Default(match.List("excludeResourceRules"));
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        PodValidation.OneOf(spec.Text("failurePolicy"), ["Fail", "Ignore"], "spec.failurePolicy", causes);
        if (spec.Object("matchConstraints") is not { } match) causes.Add(Metadata.Required("spec.matchConstraints"));
        else
        {
            if (match.List("resourceRules") is not { Count: > 0 }) causes.Add(Metadata.Required("spec.matchConstraints.resourceRules"));
            PodValidation.OneOf(match.Text("matchPolicy"), ["Equivalent", "Exact"], "spec.matchConstraints.matchPolicy", causes);
            RuleChecks.Check(match.List("resourceRules"), "spec.matchConstraints.resourceRules", causes);
            RuleChecks.Check(match.List("excludeResourceRules"), "spec.matchConstraints.excludeResourceRules", causes);
        }
        if (spec.Object("paramKind") is { } kind)
        {
            foreach (var name in (ReadOnlySpan<string>)["apiVersion", "kind"])
            {
                if (kind.Text(name).Length == 0) causes.Add(Metadata.Required($"spec.paramKind.{name}"));
            }
        }
        if (spec.List("validations") is not { Count: > 0 } && spec.List("auditAnnotations") is not { Count: > 0 })
        {
            causes.Add(Metadata.Required("spec.validations", "validations or auditAnnotations must be specified"));
        }
        Policy.Read(json, causes);
    }

    /// <summary>Kubernetes has a controller for it, which looks at each new generation.</summary>
    public override void Allocate(JsonObject json, JsonObject? old, WriteContext context) => TypeChecking.Set(json, context.Custom);
}

internal sealed class PolicyBindingStrategy : Strategy
{
    public override bool HasGeneration => true;

    public override void Default(JsonObject json)
    {
        if (json.Need("spec").Object("matchResources") is not { } match) return;
        match.Default("matchPolicy", "Equivalent");
        match.Default("namespaceSelector", new JsonObject());
        match.Default("objectSelector", new JsonObject());
        RuleChecks.Default(match.List("resourceRules"));
        RuleChecks.Default(match.List("excludeResourceRules"));
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var spec = json.Need("spec");
        if (spec.Text("policyName").Length == 0) causes.Add(Metadata.Required("spec.policyName"));
        var actions = OperationRule.Texts(spec, "validationActions");
        if (actions.Count == 0) causes.Add(Metadata.Required("spec.validationActions", "at least one validation action is required"));
        foreach (var action in actions) PodValidation.OneOf(action, ["Audit", "Deny", "Warn"], "spec.validationActions", causes);
        if (actions.Contains("Deny") && actions.Contains("Warn"))
        {
            causes.Add(Metadata.Invalid("spec.validationActions", string.Join(", ", actions), "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"));
        }
        RuleChecks.Check(spec.Object("matchResources")?.List("resourceRules"), "spec.matchResources.resourceRules", causes);
        if (spec.Object("paramRef") is not { } param) return;
        if (param.Text("name").Length > 0 == param.Object("selector") is not null) causes.Add(Metadata.Invalid("spec.paramRef", param.Text("name"), "exactly one of name and selector is required"));
        if (param.Text("parameterNotFoundAction") is not ("Allow" or "Deny"))
        {
            causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{param.Text("parameterNotFoundAction")}\": supported values: \"Allow\", \"Deny\"", "spec.paramRef.parameterNotFoundAction"));
        }
    }
}
