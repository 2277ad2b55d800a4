using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>
/// Checks a policy's expressions against the kinds that its rules name (Kubernetes: policy/validating, TypeChecker): a field that a kind does not have is
/// no error, for the policy may be for others too, but its author should know. Pure.
/// </summary>
internal static class TypeChecking
{
    /// <summary>Kinds of one policy that are looked at, the first by their names.</summary>
    private const int KindsMax = 10;

    /// <summary>Writes <c>status.observedGeneration</c> and <c>status.typeChecking</c>.</summary>
    /// <param name="policy">Valid, with its generation.</param>
    public static void Set(JsonObject policy, CustomKinds kinds)
    {
        var spec = policy.Object("spec") ?? [];
        var warnings = new JsonArray();
        var about = Kinds(spec, kinds.All).Select(x => (Kind: x, Types: TypesOf(spec, x, kinds))).ToList();
        foreach (var (path, text) in Expressions(spec))
        {
            var said = about.Select(x => Check(text, path, x.Kind, x.Types)).OfType<string>().ToList();
            if (said.Count > 0) warnings.Add(new JsonObject { ["fieldRef"] = path, ["warning"] = string.Join('\n', said) });
        }
        var checking = new JsonObject();
        if (warnings.Count > 0) checking["expressionWarnings"] = warnings;
        var status = policy.Need("status");
        status["observedGeneration"] = Metadata.Of(policy)["generation"]?.DeepClone();
        status["typeChecking"] = checking;
    }

    private static IEnumerable<(string Path, string Text)> Expressions(JsonObject spec)
    {
        foreach (var (list, field) in ((string, string)[])[("variables", "expression"), ("validations", "expression"), ("validations", "messageExpression")])
        {
            for (var i = 0; i < (spec.List(list)?.Count ?? 0); i++)
            {
                if (spec.List(list)![i] is JsonObject item && item.Text(field) is { Length: > 0 } text) yield return ($"spec.{list}[{i}].{field}", text);
            }
        }
    }

    private static string? Check(string text, string path, Kind kind, Dictionary<string, CelType> types)
    {
        try
        {
            CelProgram.Compile(text, types);
            return null;
        }
        catch (CelException e)
        {
            return $"{kind.ApiVersion}, Kind={kind.Name}: ERROR: {path}: {e.Message}";
        }
    }

    /// <summary>Those that rules name without a wildcard.</summary>
    private static IEnumerable<Kind> Kinds(JsonObject spec, IReadOnlyList<Kind> served)
    {
        var rules = (spec.Object("matchConstraints")?.List("resourceRules") ?? []).OfType<JsonObject>().Select(OperationRule.Read)
            .Where(x => !x.Groups.Concat(x.Versions).Concat(x.Resources).Any(word => word.Contains('*', StringComparison.Ordinal))).ToList();
        return served.Where(x => rules.Exists(rule => rule.Groups.Contains(x.Group) && rule.Versions.Contains(x.Version) && rule.Resources.Contains(x.Plural)))
            .OrderBy(x => x.ToString(), StringComparer.Ordinal).Take(KindsMax);
    }

    private static Dictionary<string, CelType> TypesOf(JsonObject spec, Kind kind, CustomKinds kinds)
    {
        var types = MatchConditions.Types(("namespaceObject", MatchConditions.NamespaceType));
        types["object"] = types["oldObject"] = TypeOf(kind);
        if (spec.Object("paramKind") is { } named) types["params"] = kinds.FindByName(named.Text("apiVersion"), named.Text("kind")) is { } param ? TypeOf(param) : CelType.Dyn;
        var known = new Dictionary<string, CelType>(StringComparer.Ordinal);
        types["variables"] = CelType.ObjectOf(known.GetValueOrDefault);
        foreach (var variable in (spec.List("variables") ?? []).OfType<JsonObject>()) known.TryAdd(variable.Text("name"), TypeOf(variable.Text("expression"), types));
        return types;
    }

    // A variable that is wrong is told of once, not at everything that reads it.
    private static CelType TypeOf(string expression, Dictionary<string, CelType> types)
    {
        try
        {
            return CelProgram.Compile(expression, types).Type;
        }
        catch (CelException)
        {
            return CelType.Dyn;
        }
    }

    private static CelType TypeOf(Kind kind)
    {
        if (kind is not CustomKind custom) return CelSchema.Of(CustomKind.TypeOf(kind));
        var (schema, metadata) = (CustomTypes.Of(custom.Schema, isResource: true), CelSchema.Of(TypeTable.Type("meta.v1.ObjectMeta")!));
        return schema.Field is { } fields ? CelType.ObjectOf(name => name == "metadata" ? metadata : fields(name)) : CelType.Dyn;
    }
}
