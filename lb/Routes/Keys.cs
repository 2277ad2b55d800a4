namespace Declarative.Lb.Routes;

public readonly record struct ServiceKey(string Namespace, string Name) : IComparable<ServiceKey>
{
    public int CompareTo(ServiceKey other) =>
        string.CompareOrdinal(Namespace, other.Namespace) is var order and not 0 ? order : string.CompareOrdinal(Name, other.Name);

    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>An address to listen on.</summary>
public readonly record struct ListenerKey(string Address, int Port, bool IsUdp = false) : IComparable<ListenerKey>
{
    public int CompareTo(ListenerKey other) => string.CompareOrdinal(Address, other.Address) is var order and not 0 ? order : Port.CompareTo(other.Port) is var port and not 0 ? port : IsUdp.CompareTo(other.IsUdp);

    public override string ToString() => (Address.Contains(':', StringComparison.Ordinal) ? $"[{Address}]:{Port}" : $"{Address}:{Port}") + (IsUdp ? "/UDP" : "");
}
