using System.Collections.Concurrent;
using System.Text;

namespace Declarative.Api.Schema;

/// <summary>
/// All types and their fields (decision 2). Loading only finds where each type's rows are; a type is parsed when it is first asked for.
/// Safe for use by many threads.
/// </summary>
public static class TypeTable
{
    // Objects that server-side apply owns as a whole: what the Go sources mark structType=atomic.
    private static readonly HashSet<string> AtomicTypes =
    [
        "core.v1.ConfigMapKeySelector", "core.v1.EndpointAddress", "core.v1.EndpointPort", "core.v1.FileKeySelector",
        "core.v1.LocalObjectReference", "core.v1.NodeSelector", "core.v1.NodeSelectorTerm", "core.v1.ObjectFieldSelector",
        "core.v1.ObjectReference", "core.v1.ResourceFieldSelector", "core.v1.ScopeSelector",
        "core.v1.ScopedResourceSelectorRequirement", "core.v1.SecretKeySelector", "core.v1.SecretReference",
        "core.v1.TopologySelectorTerm", "core.v1.TypedLocalObjectReference", "discovery.v1.EndpointPort",
        "meta.v1.LabelSelector", "meta.v1.OwnerReference", "networking.v1.ServiceBackendPort", "rbac.v1.RoleRef", "rbac.v1.Subject",
    ];

    // Whole objects that carry no ObjectMeta or ListMeta, and parts that carry one but are no whole objects.
    private static readonly HashSet<string> KindsWithoutMetadata =
    [
        "admission.v1.AdmissionReview", "core.v1.NodeProxyOptions", "core.v1.PodAttachOptions", "core.v1.PodExecOptions",
        "core.v1.PodLogOptions", "core.v1.PodPortForwardOptions", "core.v1.PodProxyOptions", "core.v1.SerializedReference",
        "core.v1.ServiceProxyOptions", "meta.v1.APIGroup", "meta.v1.APIVersions", "meta.v1.ApplyOptions", "meta.v1.CreateOptions",
        "meta.v1.DeleteOptions", "meta.v1.GetOptions", "meta.v1.ListOptions", "meta.v1.PatchOptions", "meta.v1.TableOptions",
        "meta.v1.UpdateOptions",
    ];

    private static readonly HashSet<string> TemplatesWithMetadata =
    [
        "batch.v1.JobTemplateSpec", "core.v1.PersistentVolumeClaimTemplate", "core.v1.PodTemplateSpec",
        "resource.v1.ResourceClaimTemplateSpec",
    ];

    private static readonly Dictionary<string, Rows> Index = Load();
    private static readonly ConcurrentDictionary<string, SchemaType> Parsed = new(StringComparer.Ordinal);

    /// <summary>The type of objects of kinds that are in no table: <c>metadata</c> is checked, everything else is kept as it is.</summary>
    public static SchemaType Unknown { get; } = new("", [.. TypeMeta(), new SchemaField("metadata", TypeRef.Parse("meta.v1.ObjectMeta"))])
    {
        IsKind = true,
        KeepsUnknown = true,
    };

    /// <summary>All type names, in the order of the table.</summary>
    public static IEnumerable<string> Names => Index.Keys;

    /// <summary>The type of that name (<c>apps.v1.Deployment</c>), or null when the table does not have it.</summary>
    public static SchemaType? Type(string name) =>
        Parsed.TryGetValue(name, out var type) ? type
        : Index.TryGetValue(name, out var rows) ? Parsed.GetOrAdd(name, Parse(name, rows))
        : null;

    /// <summary>The type of a kind, or <see cref="Unknown"/> when the table does not have it.</summary>
    public static SchemaType Kind(string group, string version, string kind) => Type(TypeNames.Of(group, version, kind)) ?? Unknown;

    internal static Shape ShapeOf(string typeName) =>
        !Index.TryGetValue(typeName, out var rows) ? Shape.Any : rows.OneOf ? Shape.OneOf : Shape.Object;

    private static Dictionary<string, Rows> Load()
    {
        var index = new Dictionary<string, Rows>(1024, StringComparer.Ordinal);
        foreach (var file in (string[])["types.tsv", "own-types.tsv"])
        {
            AddRows(index, Read(file));
        }

        return index;
    }

    private static byte[] Read(string file)
    {
        using var stream = typeof(TypeTable).Assembly.GetManifestResourceStream($"Declarative.Api.Schema.{file}")
            ?? throw new InvalidOperationException($"{file} is not embedded");
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }

    // Rows of one type stand together. A line that begins with '#' is a comment, and the first other line names the columns.
    private static void AddRows(Dictionary<string, Rows> index, byte[] file)
    {
        var previous = ReadOnlySpan<byte>.Empty;
        var start = -1;
        var named = false;
        for (var at = 0; at < file.Length;)
        {
            var rest = file.AsSpan(at);
            var length = rest.IndexOf((byte)'\n') is var end and >= 0 ? end : rest.Length;
            var line = rest[..length];
            var tab = line.IndexOf((byte)'\t');
            if (tab > 0 && line[0] != (byte)'#')
            {
                if (named && !line[..tab].SequenceEqual(previous))
                {
                    Add(previous, start, at);
                    start = at;
                    previous = line[..tab];
                }
                named = true;
            }

            at += length + 1;
        }

        Add(previous, start, file.Length);

        void Add(ReadOnlySpan<byte> type, int from, int to)
        {
            if (!type.IsEmpty)
            {
                var oneOf = file[from + type.Length + 1] == (byte)'\t';
                index.Add(Encoding.UTF8.GetString(type), new Rows(file, from, to - from, oneOf));
            }
        }
    }

    private static SchemaType Parse(string name, Rows rows)
    {
        var fields = new List<SchemaField>();
        foreach (var line in Encoding.UTF8.GetString(rows.File, rows.Start, rows.Length).Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            var cells = line.Split('\t');
            if (cells[0] == name)
            {
                fields.Add(Field(cells));
            }
        }

        if (fields.Count > SchemaType.FieldsMax - 2) throw new InvalidOperationException($"{name} has {fields.Count} fields, more than {SchemaType.FieldsMax - 2}");
        var hasMetadata = fields.Exists(field => field.Name == "metadata" && field.Type.ToString() is "meta.v1.ObjectMeta" or "meta.v1.ListMeta");
        var isKind = (hasMetadata && !TemplatesWithMetadata.Contains(name)) || KindsWithoutMetadata.Contains(name);
        if (isKind)
        {
            fields.InsertRange(0, TypeMeta());
        }

        return new SchemaType(name, [.. fields]) { IsKind = isKind, IsAtomic = AtomicTypes.Contains(name) };
    }

    private static SchemaField[] TypeMeta() => [new("apiVersion", TypeRef.String), new("kind", TypeRef.String)];

    private static SchemaField Field(string[] cells)
    {
        var (name, type, required, listType, mapKeys) = (cells[1], cells[2], cells[3], cells[4], cells[5]);
        var (patchStrategy, mergeKey, protobuf, byDefault) = (cells[6], cells[7], cells[8], cells[9]);
        var strategies = patchStrategy.Split(',');
        return new SchemaField(name, TypeRef.Parse(type))
        {
            Required = required == "required",
            ListType = listType switch
            {
                "atomic" => ListType.Atomic,
                "set" => ListType.Set,
                "map" => ListType.Map,
                "granular" => ListType.Granular,
                _ => ListType.Unset,
            },
            MapKeys = mapKeys.Length == 0 ? [] : mapKeys.Split(','),
            PatchStrategy = patchStrategy,
            PatchMerge = strategies.Contains("merge"),
            PatchReplace = strategies.Contains("replace"),
            MergeKey = mergeKey.Length == 0 ? null : mergeKey,
            Protobuf = protobuf.Length == 0 ? [] : [.. protobuf.Split('.').Select(int.Parse)],
            // ref(...) names a Go constant whose value the table does not have.
            Default = byDefault.Length == 0 || byDefault.StartsWith("ref(", StringComparison.Ordinal) ? null : byDefault,
        };
    }

    private readonly record struct Rows(byte[] File, int Start, int Length, bool OneOf);
}
