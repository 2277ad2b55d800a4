using Declarative.Api.Objects;

namespace Declarative.Api.Kinds;

/// <summary>What a CustomResourceDefinition says about the place of its objects.</summary>
public sealed record CustomResourceDefinition : ApiObject
{
    public CustomResourceDefinitionSpec Spec { get; init; } = new();
    public CustomResourceDefinitionStatus Status { get; init; } = new();

    /// <summary>The kind of its objects in the first served version, the stored one where that is served; null until it is established.</summary>
    public Kind? Served()
    {
        if (!Status.Conditions.Any(x => x is { Type: "Established", IsTrue: true })) return null;
        var version = Spec.Versions.FirstOrDefault(x => x is { Served: true, Storage: true }) ?? Spec.Versions.FirstOrDefault(x => x.Served);
        return version is null ? null
            : new() { Group = Spec.Group, Version = version.Name, Name = Spec.Names.Kind, Plural = Spec.Names.Plural, Namespaced = Spec.Scope == "Namespaced" };
    }

    public static new CustomResourceDefinition Read(ReadOnlyMemory<byte> json) => ViewJson.Read<CustomResourceDefinition>(json);
}

public sealed record CustomResourceDefinitionSpec
{
    public string Group { get; init; } = "";
    public CustomResourceDefinitionNames Names { get; init; } = new();

    /// <summary>Namespaced or Cluster.</summary>
    public string Scope { get; init; } = "";
    public IReadOnlyList<CustomResourceDefinitionVersion> Versions { get; init; } = [];
}

public sealed record CustomResourceDefinitionNames
{
    public string Kind { get; init; } = "";
    public string Plural { get; init; } = "";
}

public sealed record CustomResourceDefinitionVersion
{
    public string Name { get; init; } = "";
    public bool Served { get; init; }
    public bool Storage { get; init; }
}

public sealed record CustomResourceDefinitionStatus
{
    public IReadOnlyList<Condition> Conditions { get; init; } = [];
}
