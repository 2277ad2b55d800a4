using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// The <c>x-kubernetes-validations</c> of a schema, compiled: each rule sees the value at its place as <c>self</c>, and, as a transition
/// rule, the value before as <c>oldSelf</c> (Kubernetes doc "Validation rules").
/// </summary>
internal sealed class CustomRules
{
    private const int MessageCharsMax = 5 * 1024;
    private static readonly HashSet<string> Reasons = ["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"];
    private readonly Dictionary<Structural, List<CustomRule>> _rules = new(ReferenceEqualityComparer.Instance);
    private readonly Structural _root;

    private CustomRules(Structural root) => _root = root;

    /// <summary>Rules that <see cref="CheckDefinition"/> has accepted.</summary>
    /// <exception cref="ArgumentException">A rule that is none.</exception>
    public static CustomRules Compile(Structural schema)
    {
        var causes = new List<StatusCause>();
        var rules = new CustomRules(schema);
        rules.Add(schema, "", true, causes, null, 1, [], "");
        return causes.Count == 0 ? rules : throw new ArgumentException(causes[0].Message, nameof(schema));
    }

    /// <param name="wasStored">The schema is that of a stored definition: what it may cost and say of old values was judged when it came.</param>
    public static void CheckDefinition(Structural schema, string path, bool wasStored, List<StatusCause> causes)
    {
        var costs = wasStored ? null : new RuleCosts();
        new CustomRules(schema).Add(schema, path, true, causes, costs, 1, [], "");
        costs?.Check(path, causes);
    }

    /// <summary>Judges an object that its schema has accepted.</summary>
    public void Check(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (!_root.HasRules) return;
        var budget = CelLimits.ObjectCostMax;
        try
        {
            Walk(json, old, _root, "", causes, ref budget);
        }
        catch (CelCostException e)
        {
            causes.Add(new("FieldValueInvalid", $"Invalid value: the validation rules of the object cost too much: {e.Message}", ""));
        }
    }

    private void Walk(JsonNode? value, JsonNode? old, Structural schema, string path, List<StatusCause> causes, ref long budget)
    {
        if (!schema.HasRules || value is null) return;
        foreach (var rule in _rules.GetValueOrDefault(schema) ?? []) Apply(rule, value, old, path, causes, ref budget);
        switch (value)
        {
            case JsonObject json:
                foreach (var (name, member) in json)
                {
                    if (schema.Member(name) is { } inner) Walk(member, (old as JsonObject)?[name], inner, schema.Properties.ContainsKey(name) ? Join(path, name) : $"{path}[{name}]", causes, ref budget);
                }
                break;
            case JsonArray list when schema.Items is { HasRules: true } items:
                // Elements of a list of type map are the same by their keys; of other lists nothing is known of what an element was before.
                var before = schema.ListType == "map" && old is JsonArray was ? was.Where(x => x is not null).GroupBy(x => StructuralValidation.KeyOf(x, schema) ?? "").ToDictionary(x => x.Key, x => x.First()) : [];
                for (var i = 0; i < list.Count; i++) Walk(list[i], before.GetValueOrDefault(StructuralValidation.KeyOf(list[i], schema) ?? ""), items, $"{path}[{i}]", causes, ref budget);
                break;
        }
    }

    private static void Apply(CustomRule rule, JsonNode value, JsonNode? old, string path, List<StatusCause> causes, ref long budget)
    {
        if (rule.IsTransition && old is null && !rule.OldIsOptional) return;
        var at = path + rule.FieldPath;
        if (path.Length == 0) at = at.TrimStart('.');
        var meter = new CelMeter(Math.Min(CelLimits.CallCostMax, budget));
        var variables = new Dictionary<string, object?>
        {
            ["self"] = CelValues.FromJson(value, rule.Self),
            ["oldSelf"] = rule.OldIsOptional ? old is null ? CelOptional.None : CelOptional.Of(CelValues.FromJson(old, rule.Self)) : CelValues.FromJson(old, rule.Self),
        };
        try
        {
            if (rule.Program.Evaluate(variables, meter) is not true) causes.Add(new(rule.Reason, Described(rule, Message(rule, variables, meter)), at));
        }
        catch (CelException e)
        {
            causes.Add(new("FieldValueInvalid", $"Invalid value: rule evaluation failed: {rule.Program.Text}: {e.Message}", at));
        }
        budget -= meter.Cost;
        if (budget <= 0) throw new CelCostException();
    }

    private static string Described(CustomRule rule, string message) => rule.Reason switch
    {
        "FieldValueForbidden" => $"Forbidden: {message}",
        "FieldValueRequired" => $"Required value: {message}",
        "FieldValueDuplicate" => $"Duplicate value: {message}",
        _ => $"Invalid value: \"{rule.TypeName}\": {message}",
    };

    private static string Message(CustomRule rule, Dictionary<string, object?> variables, CelMeter meter)
    {
        var given = rule.Message.Length > 0 ? rule.Message : $"failed rule: {rule.Program.Text}";
        if (rule.MessageProgram is null) return given;
        try
        {
            return rule.MessageProgram.Evaluate(variables, meter) is string { Length: > 0 and <= MessageCharsMax } text && !text.Contains('\n', StringComparison.Ordinal) ? text : given;
        }
        catch (CelException)
        {
            return given; // As Kubernetes does: a message that fails falls back on the one that is written.
        }
    }

    /// <param name="costs">null = the schema was accepted once: neither what its rules may cost nor what they say of old values is judged again.</param>
    /// <param name="rounds">Of the rules here for one object; null where nothing bounds it.</param>
    /// <param name="unbounded">Why not.</param>
    /// <param name="loose">The nearest place on the way whose elements are not known to be the same as before; "" for none.</param>
    private void Add(Structural schema, string path, bool isRoot, List<StatusCause> causes, RuleCosts? costs, double? rounds, IReadOnlyList<string> unbounded, string loose)
    {
        if (!schema.HasRules) return;
        for (var i = 0; i < schema.Rules.Count; i++)
        {
            var at = $"{path}.x-kubernetes-validations[{i}]";
            if (Read(schema, schema.Rules[i], at, isRoot, causes) is not { } rule) continue;
            if (costs is not null && loose.Length > 0 && rule.IsTransition) causes.Add(Metadata.Invalid($"{at}.rule", rule.Program.Text, $"oldSelf cannot be used on the uncorrelatable portion of the schema within {loose}"));
            costs?.Add(rule.Program, rule.Types, schema, rounds, unbounded, $"{at}.rule", "rule", causes);
            if (rule.MessageProgram is { } message) costs?.Add(message, rule.Types, schema, rounds, unbounded, $"{at}.messageExpression", "messageExpression", causes);
            if (!_rules.TryGetValue(schema, out var rules)) _rules[schema] = rules = [];
            rules.Add(rule);
        }
        foreach (var (name, property) in schema.Properties) Add(property, $"{path}.properties[{name}]", false, causes, costs, rounds, unbounded, schema.MapType == "atomic" && loose.Length == 0 ? path : loose);
        var inner = RuleCosts.BoundOf(schema) is { } bound ? rounds * bound : null;
        IReadOnlyList<string> free = inner is null && rounds is not null ? [.. unbounded, $"{path} ({RuleCosts.BoundName(schema)})"] : unbounded;
        if (schema.Additional is { } additional) Add(additional, $"{path}.additionalProperties", false, causes, costs, inner, free, schema.MapType == "atomic" && loose.Length == 0 ? path : loose);
        if (schema.Items is { } items) Add(items, $"{path}.items", false, causes, costs, inner, free, schema.ListType != "map" && loose.Length == 0 ? path : loose);
    }

    private static CustomRule? Read(Structural schema, JsonObject rule, string path, bool isRoot, List<StatusCause> causes)
    {
        var before = causes.Count;
        var self = CustomTypes.Of(schema, isRoot);
        var oldIsOptional = rule.Flag("optionalOldSelf");
        var variables = new Dictionary<string, CelType> { ["self"] = self, ["oldSelf"] = oldIsOptional ? CelType.OptionalOf(self) : self };
        var program = Compile(rule.Text("rule"), variables, CelType.Bool, $"{path}.rule", causes);
        var message = rule.Text("messageExpression") is { Length: > 0 } expression ? Compile(expression, variables, CelType.String, $"{path}.messageExpression", causes) : null;
        var reason = rule.Text("reason") is { Length: > 0 } given ? given : "FieldValueInvalid";
        if (!Reasons.Contains(reason)) causes.Add(new("FieldValueNotSupported", $"Unsupported value: \"{reason}\": supported values: {string.Join(", ", Reasons.Order(StringComparer.Ordinal).Select(x => $"\"{x}\""))}", $"{path}.reason"));
        var text = rule.Text("message");
        if (text.Contains('\n', StringComparison.Ordinal)) causes.Add(Metadata.Invalid($"{path}.message", text, "message must not contain line breaks"));
        var fieldPath = rule.Text("fieldPath");
        if (fieldPath.Length > 0 && (!JsonPath.TryParse(fieldPath, out var parsed, out _) || !parsed!.IsSimple || parsed.Names.Aggregate((Structural?)schema, (at, name) => at?.Member(name)) is null))
        {
            causes.Add(Metadata.Invalid($"{path}.fieldPath", fieldPath, "must be a path of names that the schema has, such as .spec.replicas"));
        }
        return causes.Count > before ? null : new(self, program!, message, text, reason, fieldPath, program!.Uses("oldSelf"), schema.IntOrString ? "integer or string" : schema.Type, variables, oldIsOptional);
    }

    private static CelProgram? Compile(string text, Dictionary<string, CelType> variables, CelType wanted, string path, List<StatusCause> causes)
    {
        try
        {
            return CelProgram.Compile(text, variables, wanted);
        }
        catch (CelException e)
        {
            causes.Add(Metadata.Invalid(path, text, $"compilation failed: {e.Message}"));
            return null;
        }
    }

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";
}

/// <param name="FieldPath">"" or a path below the rule's place, beginning with a dot.</param>
internal sealed record CustomRule(CelType Self, CelProgram Program, CelProgram? MessageProgram, string Message, string Reason, string FieldPath, bool IsTransition, string TypeName, IReadOnlyDictionary<string, CelType> Types, bool OldIsOptional);
