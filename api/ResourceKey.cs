using Declarative.Api.Kinds;

namespace Declarative.Api;

/// <summary>Where an object lives: its kind, namespace ("" for cluster-scoped kinds) and name.</summary>
public readonly record struct ResourceKey(Kind Kind, string Namespace, string Name)
{
    public static ResourceKey Of(Kind kind, string ns, string name) => new(kind, kind.Namespaced ? ns : "", name);

    /// <summary><c>pods/default/web-1</c> or <c>nodes/agent-0</c>: the form used in logs and errors.</summary>
    public override string ToString() => Namespace.Length == 0 ? $"{Kind.Plural}/{Name}" : $"{Kind.Plural}/{Namespace}/{Name}";
}
