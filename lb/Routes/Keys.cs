namespace Declarative.Lb.Routes;

public readonly record struct ServiceKey(string Namespace, string Name) : IComparable<ServiceKey>
{
    public int CompareTo(ServiceKey other) =>
        string.CompareOrdinal(Namespace, other.Namespace) is var order and not 0 ? order : string.CompareOrdinal(Name, other.Name);

    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>A TCP address to listen on.</summary>
public readonly record struct ListenerKey(string Address, int Port) : IComparable<ListenerKey>
{
    public int CompareTo(ListenerKey other) => string.CompareOrdinal(Address, other.Address) is var order and not 0 ? order : Port.CompareTo(other.Port);

    public override string ToString() => Address.Contains(':', StringComparison.Ordinal) ? $"[{Address}]:{Port}" : $"{Address}:{Port}";
}
