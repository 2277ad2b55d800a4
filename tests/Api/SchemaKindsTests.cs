using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Xunit;

namespace Declarative.Tests.Api;

/// <summary>The lean records of api/Kinds against the table: each field that they read exists there and has that type.</summary>
public sealed class SchemaKindsTests
{
    private static readonly JsonSerializerOptions Options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    public static TheoryData<string> Views => [.. Records().Keys.Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Views))]
    public void A_record_reads_only_fields_that_its_kind_has(string name)
    {
        // In the version that is followed, where there are several.
        var kind = (Kind?)typeof(Kind).GetProperty(name)?.GetValue(null) ?? Kind.All.First(kind => kind.Name == name);
        var differences = new List<string>();
        Compare(Records()[name], TypeTable.Kind(kind.Group, kind.Version, kind.Name), name, differences, []);
        Assert.Empty(differences);
    }

    [Fact]
    public void A_record_that_differs_is_found_out()
    {
        var differences = new List<string>();
        Compare(typeof(Misspelt), TypeTable.Type("apps.v1.DeploymentSpec")!, "spec", differences, []);
        Assert.Equal(["spec.replicass: no such field in apps.v1.DeploymentSpec", "spec.paused: String for bool"], differences);
    }

    private static Dictionary<string, Type> Records() => typeof(Pod).Assembly.GetTypes()
        .Where(type => type is { IsAbstract: false, Namespace: "Declarative.Api.Kinds" } && type.IsSubclassOf(typeof(ApiObject)))
        .ToDictionary(type => type.Name);

    private static void Compare(Type record, SchemaType schema, string path, List<string> differences, HashSet<(Type, SchemaType)> seen)
    {
        if (!seen.Add((record, schema)))
        {
            return;
        }

        foreach (var property in Options.GetTypeInfo(record).Properties.Where(property => property.Set is not null))
        {
            var at = $"{path}.{property.Name}";
            if (schema.Find(property.Name) is { } field)
            {
                Fit(property.PropertyType, field.Type, at, differences, seen);
            }
            else if (record != typeof(Condition)) // One record for the conditions of all kinds, each of which has some of its fields.
            {
                differences.Add($"{at}: no such field in {schema.Name}");
            }
        }
    }

    private static void Fit(Type type, TypeRef wanted, string path, List<string> differences, HashSet<(Type, SchemaType)> seen)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        var fits = wanted.Shape switch
        {
            Shape.String => type == typeof(string),
            Shape.Bytes => type == typeof(string) || type == typeof(byte[]),
            Shape.Bool => type == typeof(bool),
            Shape.Int32 => type == typeof(int) || type == typeof(long),
            Shape.Int64 => type == typeof(long),
            Shape.Quantity => type == typeof(Quantity),
            Shape.IntOrString => type == typeof(IntOrString),
            Shape.Time or Shape.MicroTime => type == typeof(DateTimeOffset),
            Shape.List => Generic(type, typeof(IReadOnlyList<>)),
            Shape.Map => Generic(type, typeof(IReadOnlyDictionary<,>)),
            Shape.Object => type.IsClass && type != typeof(string),
            _ => true,
        };
        if (!fits)
        {
            differences.Add($"{path}: {type.Name} for {wanted}");
        }
        else if (wanted.Item is { } item)
        {
            Fit(type.GetGenericArguments()[^1], item, path + "[]", differences, seen);
        }
        else if (wanted.Shape == Shape.Object)
        {
            Compare(type, wanted.Type, path, differences, seen);
        }
    }

    private static bool Generic(Type type, Type definition) => type.IsGenericType && type.GetGenericTypeDefinition() == definition;

    private sealed record Misspelt
    {
        public int Replicass { get; init; }
        public string Paused { get; init; } = "";
        public IntOrString? Skipped => null;
    }
}
