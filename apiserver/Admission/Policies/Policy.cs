using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>A ValidatingAdmissionPolicy, compiled (admissionregistration.k8s.io/v1).</summary>
internal sealed class Policy
{
    private static readonly HashSet<string> Reasons = [StatusReason.Unauthorized, StatusReason.Forbidden, StatusReason.Invalid, StatusReason.TooLarge];
    private readonly List<(string Name, CelProgram Program)> _variables = [];
    private readonly List<PolicyRule> _rules = [];
    private readonly List<(string Key, CelProgram Program)> _annotations = [];

    private Policy(JsonObject json, List<StatusCause> causes)
    {
        var spec = json.Object("spec") ?? [];
        Name = Metadata.Name(json);
        Match = RequestMatch.Read(spec.Object("matchConstraints") ?? [], "resourceRules");
        Fails = spec.Text("failurePolicy") != "Ignore";
        ParamKind = spec.Object("paramKind") is { } kind ? (kind.Text("apiVersion"), kind.Text("kind")) : null;
        var types = MatchConditions.Types(("namespaceObject", MatchConditions.NamespaceType), ("params", CelType.Dyn));
        if (ParamKind is null) types.Remove("params");
        Conditions = MatchConditions.Read(spec.List("matchConditions"), types, "spec.matchConditions", causes);
        Variables(spec.List("variables"), types, causes);
        var inMessages = types.Where(x => x.Key != "authorizer").ToDictionary(); // a text asks for no rights
        var validations = spec.List("validations") ?? [];
        for (var i = 0; i < validations.Count; i++)
        {
            if (validations[i] is JsonObject rule) Rule(rule, types, inMessages, $"spec.validations[{i}]", causes);
        }
        Audit(spec.List("auditAnnotations"), types, causes);
    }

    public string Name { get; }
    public RequestMatch Match { get; }
    public MatchConditions Conditions { get; }

    /// <summary>An expression that has no value refuses the request; else it is passed over.</summary>
    public bool Fails { get; }

    /// <summary>The kind of the objects that bindings hand in as <c>params</c>; null = none.</summary>
    public (string ApiVersion, string Kind)? ParamKind { get; }
    public IReadOnlyList<PolicyRule> Rules => _rules;

    /// <summary>What the audit event of a request gets: a text, or null for nothing.</summary>
    public IReadOnlyList<(string Key, CelProgram Program)> AuditAnnotations => _annotations;

    /// <param name="causes">Receives what is wrong with it.</param>
    public static Policy Read(JsonObject json, List<StatusCause> causes) => new(json, causes);

    /// <summary>Makes <c>variables</c> known to the expressions that are evaluated with these values.</summary>
    public void Bind(Dictionary<string, object?> values, CelMeter meter) => values["variables"] = new CelVariables(_variables, values, meter);

    private void Variables(JsonArray? list, Dictionary<string, CelType> types, List<StatusCause> causes)
    {
        var known = new Dictionary<string, CelType>(StringComparer.Ordinal);
        types["variables"] = CelType.ObjectOf(x => known.GetValueOrDefault(x));
        for (var i = 0; i < (list?.Count ?? 0); i++)
        {
            if (list![i] is not JsonObject variable) continue;
            var name = variable.Text("name");
            if (name.Length == 0) causes.Add(Metadata.Required($"spec.variables[{i}].name"));
            var program = MatchConditions.Compile(variable.Text("expression"), types, CelType.Dyn, $"spec.variables[{i}].expression", causes);
            if (known.TryAdd(name, program.Type)) _variables.Add((name, program));
            else causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"spec.variables[{i}].name"));
        }
    }

    private void Rule(JsonObject rule, Dictionary<string, CelType> types, Dictionary<string, CelType> inMessages, string path, List<StatusCause> causes)
    {
        if (rule.Text("expression").Length == 0) causes.Add(Metadata.Required($"{path}.expression", "expression is not specified"));
        else
        {
            var program = MatchConditions.Compile(rule.Text("expression"), types, CelType.Bool, $"{path}.expression", causes);
            var message = rule.Text("messageExpression") is { Length: > 0 } text ? MatchConditions.Compile(text, inMessages, CelType.String, $"{path}.messageExpression", causes) : null;
            _rules.Add(new(_rules.Count, program, rule.Text("message").Trim(), message, rule.Text("reason") is { Length: > 0 } reason ? reason : StatusReason.Invalid));
        }
        if (rule.Text("message").Contains('\n', StringComparison.Ordinal)) causes.Add(Metadata.Invalid($"{path}.message", rule.Text("message"), "message must not contain line breaks"));
        if (rule.Text("reason") is { Length: > 0 } given && !Reasons.Contains(given))
        {
            causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{given}\": supported values: {string.Join(", ", Reasons.Order(StringComparer.Ordinal).Select(x => $"\"{x}\""))}", $"{path}.reason"));
        }
    }

    private void Audit(JsonArray? list, Dictionary<string, CelType> types, List<StatusCause> causes)
    {
        for (var i = 0; i < (list?.Count ?? 0); i++)
        {
            if (list![i] is not JsonObject annotation) continue;
            if (annotation.Text("key").Length == 0) causes.Add(Metadata.Required($"spec.auditAnnotations[{i}].key"));
            var path = $"spec.auditAnnotations[{i}].valueExpression";
            var program = MatchConditions.Compile(annotation.Text("valueExpression"), types, CelType.Dyn, path, causes);
            if (program.Type.Kind is CelKind.String or CelKind.Null or CelKind.Dyn) _annotations.Add((annotation.Text("key"), program));
            else causes.Add(Metadata.Invalid(path, program.Text, "must evaluate to string or null"));
        }
    }
}

/// <param name="Index">Among the policy's validations.</param>
internal sealed record PolicyRule(int Index, CelProgram Program, string Message, CelProgram? MessageProgram, string Reason)
{
    /// <summary>Kubernetes' bound for what a messageExpression gives.</summary>
    private const int MessageBytesMax = 5 * 1024;

    /// <summary>What a failure says: the messageExpression's one line; where that fails, is empty, too long or has several lines, the message that is written.</summary>
    public string MessageOf(Dictionary<string, object?> values, CelMeter meter)
    {
        var given = Message.Length > 0 ? Message : $"failed expression: {Program.Text.Trim()}";
        if (MessageProgram is null) return given;
        try
        {
            var text = (MessageProgram.Evaluate(values, meter) as string ?? "").Trim();
            return text.Length > 0 && !text.Contains('\n', StringComparison.Ordinal) && System.Text.Encoding.UTF8.GetByteCount(text) <= MessageBytesMax ? text : given;
        }
        catch (CelException)
        {
            return given;
        }
    }
}
