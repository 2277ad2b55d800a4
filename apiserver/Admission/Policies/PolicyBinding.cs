using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>A ValidatingAdmissionPolicyBinding: where a policy holds, with which parameters, and what a failure does.</summary>
internal sealed class PolicyBinding
{
    private PolicyBinding(JsonObject json)
    {
        var spec = json.Object("spec") ?? [];
        Name = Metadata.Name(json);
        Policy = spec.Text("policyName");
        Match = spec.Object("matchResources") is { } narrowed ? RequestMatch.Read(narrowed, "resourceRules") : null;
        Actions = OperationRule.Texts(spec, "validationActions");
        Param = spec.Object("paramRef") is { } reference ? new(reference) : null;
    }

    public string Name { get; }
    public string Policy { get; }

    /// <summary>null = all that the policy is for.</summary>
    public RequestMatch? Match { get; }

    /// <summary>Of Deny, Warn and Audit.</summary>
    public IReadOnlyList<string> Actions { get; }
    public ParamReference? Param { get; }

    public static PolicyBinding Read(JsonObject json) => new(json);
}

/// <summary>Which objects of the policy's paramKind are handed in, one evaluation each: one by name, or all that a selector selects.</summary>
internal sealed class ParamReference(JsonObject json)
{
    public string Name { get; } = json.Text("name");

    /// <summary>"" = that of the request.</summary>
    public string Namespace { get; } = json.Text("namespace");
    public LabelSelector? Selector { get; } = json.Object("selector")?.Deserialize<LabelSelectorSpec>(JsonSerializerOptions.Web)?.ToSelector();
    public bool DeniesWithout { get; } = json.Text("parameterNotFoundAction") == "Deny";
}
