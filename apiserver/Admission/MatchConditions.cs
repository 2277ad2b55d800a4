using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission;

/// <summary>CEL conditions that a request must meet for a webhook or policy to be asked.</summary>
internal sealed class MatchConditions
{
    private static readonly CelType RequestType = Record(
        ("kind", Record(("group", CelType.String), ("version", CelType.String), ("kind", CelType.String))),
        ("resource", Record(("group", CelType.String), ("version", CelType.String), ("resource", CelType.String))),
        ("subResource", CelType.String),
        ("requestKind", Record(("group", CelType.String), ("version", CelType.String), ("kind", CelType.String))),
        ("requestResource", Record(("group", CelType.String), ("version", CelType.String), ("resource", CelType.String))),
        ("requestSubResource", CelType.String), ("name", CelType.String), ("namespace", CelType.String), ("operation", CelType.String),
        ("userInfo", Record(("username", CelType.String), ("uid", CelType.String), ("groups", CelType.ListOf(CelType.String)), ("extra", CelType.MapOf(CelType.String, CelType.ListOf(CelType.String))))),
        ("dryRun", CelType.Bool), ("options", CelType.Dyn));

    private readonly List<(string Name, CelProgram Program)> _conditions = [];

    /// <summary>Of <c>namespaceObject</c>.</summary>
    public static CelType NamespaceType { get; } = CelSchema.Of(TypeTable.Type("core.v1.Namespace")!);

    /// <summary>What every expression of admission may name: object, oldObject, request and authorizer, and what <paramref name="more"/> adds.</summary>
    public static Dictionary<string, CelType> Types(params IEnumerable<(string Name, CelType Type)> more)
    {
        var types = new Dictionary<string, CelType> { ["object"] = CelType.Dyn, ["oldObject"] = CelType.Dyn, ["request"] = RequestType, ["authorizer"] = CelType.Authorizer };
        foreach (var (name, type) in more) types.Add(name, type);
        return types;
    }

    /// <summary>The values of <see cref="Types"/>, read when they are first asked for.</summary>
    /// <param name="described">The member "request" of a review.</param>
    /// <param name="allows">Asks authorization.</param>
    public static Dictionary<string, object?> Values(AdmissionRequest request, JsonObject described, Func<User, AccessQuestion, bool> allows) => new()
    {
        ["object"] = CelValues.FromJson(request.Object, CelType.Dyn),
        ["oldObject"] = CelValues.FromJson(request.Old, CelType.Dyn),
        ["request"] = CelValues.FromJson(described, CelType.Dyn),
        ["authorizer"] = new CelAuthorizer(request.User, allows, new("", request.Key.Kind.Group, request.Key.Kind.Plural)
        {
            Subresource = request.Subresource,
            Namespace = request.Key.Namespace,
            Name = request.Key.Name,
        }),
    };

    private static CelType Record(params (string Name, CelType Type)[] fields) => CelType.ObjectOf(name => Array.Find(fields, x => x.Name == name).Type);

    /// <param name="causes">Receives what is wrong with the conditions.</param>
    public static MatchConditions Read(JsonArray? list, Dictionary<string, CelType> types, string path, List<StatusCause> causes)
    {
        var read = new MatchConditions();
        for (var i = 0; i < (list?.Count ?? 0); i++)
        {
            if (list![i] is not JsonObject condition) continue;
            var name = condition.Text("name");
            if (name.Length == 0) causes.Add(Metadata.Required($"{path}[{i}].name"));
            else if (read._conditions.Exists(x => x.Name == name)) causes.Add(new("FieldValueDuplicate", $"Duplicate value: \"{name}\"", $"{path}[{i}].name"));
            read._conditions.Add((name, Compile(condition.Text("expression"), types, CelType.Bool, $"{path}[{i}].expression", causes)));
        }
        return read;
    }

    /// <summary>
    /// One that can not be compiled always fails: of an object that an earlier version has taken, the failurePolicy decides, as of any that has no value.
    /// </summary>
    /// <param name="causes">Receives what is wrong with it.</param>
    public static CelProgram Compile(string text, IReadOnlyDictionary<string, CelType> types, CelType wanted, string path, List<StatusCause> causes)
    {
        try
        {
            return CelProgram.Compile(text, types, wanted);
        }
        catch (CelException e)
        {
            var error = $"compilation failed: {e.Message}";
            causes.Add(Metadata.Invalid(path, text, error));
            return CelProgram.Failing(text, error);
        }
    }

    /// <summary>Whether all hold. One that is false decides, whatever errors others have.</summary>
    /// <exception cref="CelException">None is false, and at least one has no value.</exception>
    public bool Hold(IReadOnlyDictionary<string, object?> values)
    {
        CelException? failed = null;
        foreach (var (name, program) in _conditions)
        {
            try
            {
                if (program.Evaluate(values, new CelMeter(CelLimits.CallCostMax)) is not true) return false;
            }
            catch (CelException e)
            {
                failed ??= new CelException($"expression '{program.Text}' of match condition '{name}': {e.Message}");
            }
        }
        return failed is null ? true : throw failed;
    }
}
