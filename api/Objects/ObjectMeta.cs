namespace Declarative.Api.Objects;

/// <summary>metadata of every object (meta.v1.ObjectMeta), as far as the platform reads it.</summary>
public sealed record ObjectMeta
{
    public string Name { get; init; } = "";
    public string GenerateName { get; init; } = "";
    public string Namespace { get; init; } = "";
    public string Uid { get; init; } = "";
    public string ResourceVersion { get; init; } = "";
    public long Generation { get; init; }
    public DateTimeOffset? CreationTimestamp { get; init; }
    public DateTimeOffset? DeletionTimestamp { get; init; }

    /// <summary>Seconds, set together with <see cref="DeletionTimestamp"/>.</summary>
    public long? DeletionGracePeriodSeconds { get; init; }
    public IReadOnlyDictionary<string, string> Labels { get; init; } = NoStrings;
    public IReadOnlyDictionary<string, string> Annotations { get; init; } = NoStrings;
    public IReadOnlyList<OwnerReference> OwnerReferences { get; init; } = [];
    public IReadOnlyList<string> Finalizers { get; init; } = [];

    public bool IsDeleting => DeletionTimestamp is not null;

    /// <summary>The owner that manages this object, if any (at most one has controller: true).</summary>
    public OwnerReference? Controller
    {
        get
        {
            for (var i = 0; i < OwnerReferences.Count; i++)
            {
                if (OwnerReferences[i].Controller) return OwnerReferences[i];
            }
            return null;
        }
    }

    public static IReadOnlyDictionary<string, string> NoStrings { get; } = new Dictionary<string, string>();
}

public sealed record OwnerReference
{
    public string ApiVersion { get; init; } = "";
    public string Kind { get; init; } = "";
    public string Name { get; init; } = "";
    public string Uid { get; init; } = "";
    public bool Controller { get; init; }
    public bool BlockOwnerDeletion { get; init; }
}

/// <summary>A condition of any kind's status; <see cref="Status"/> is "True", "False" or "Unknown".</summary>
public sealed record Condition
{
    public string Type { get; init; } = "";
    public string Status { get; init; } = "";
    public string Reason { get; init; } = "";
    public string Message { get; init; } = "";
    public DateTimeOffset? LastTransitionTime { get; init; }
    public DateTimeOffset? LastUpdateTime { get; init; }
    public DateTimeOffset? LastHeartbeatTime { get; init; }
    public DateTimeOffset? LastProbeTime { get; init; }
    public long ObservedGeneration { get; init; }
    public bool IsTrue => Status == "True";
}

/// <summary>metadata and nothing else: what garbage collection and other kind-agnostic readers need.</summary>
public record ApiObject
{
    public string ApiVersion { get; init; } = "";
    public string Kind { get; init; } = "";
    public ObjectMeta Metadata { get; init; } = new();

    public string Name => Metadata.Name;
    public string Namespace => Metadata.Namespace;
    public string Uid => Metadata.Uid;

    public static ApiObject Read(ReadOnlyMemory<byte> json) => Kinds.ViewJson.Read<ApiObject>(json);
}

/// <summary>matchLabels and matchExpressions as they stand in an object.</summary>
public sealed record LabelSelectorSpec
{
    public IReadOnlyDictionary<string, string> MatchLabels { get; init; } = ObjectMeta.NoStrings;
    public IReadOnlyList<LabelSelectorRequirement> MatchExpressions { get; init; } = [];

    /// <summary>An empty selector selects everything, as Kubernetes has it. An expression with an unknown operator selects nothing.</summary>
    public LabelSelector ToSelector()
    {
        var requirements = new List<Requirement>(LabelSelector.Of(MatchLabels).Requirements);
        foreach (var expression in MatchExpressions)
        {
            if (!Enum.TryParse<SelectorOperator>(expression.Operator, out var op)) return LabelSelector.Nothing;
            requirements.Add(new(expression.Key, op, expression.Values));
        }
        return LabelSelector.Of(requirements);
    }
}

public sealed record LabelSelectorRequirement
{
    public string Key { get; init; } = "";
    public string Operator { get; init; } = "";
    public IReadOnlyList<string> Values { get; init; } = [];
}
