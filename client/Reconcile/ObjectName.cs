using Declarative.Api.Objects;

namespace Declarative.Client.Reconcile;

/// <summary>The usual key of a controller's queue: namespace ("" for cluster-scoped kinds) and name.</summary>
public readonly record struct ObjectName(string Namespace, string Name)
{
    public static ObjectName Of(ApiObject x) => new(x.Namespace, x.Name);

    public override string ToString() => Namespace.Length == 0 ? Name : $"{Namespace}/{Name}";
}
