namespace Declarative.ApiServer.Cel;

internal enum CelKind
{
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List,
    Map,
    Object,
    Type,
    Quantity,
    Address,
    Cidr,
    Url,
    Optional,
    Authorizer,
    PathCheck,
    GroupCheck,
    ResourceCheck,
    Decision,
    Format,

    /// <summary>Stands for any one type in the signature of a function.</summary>
    Parameter,
}

/// <summary>The type of an expression.</summary>
internal sealed class CelType
{
    public static readonly CelType Dyn = new(CelKind.Dyn);
    public static readonly CelType Null = new(CelKind.Null);
    public static readonly CelType Bool = new(CelKind.Bool);
    public static readonly CelType Int = new(CelKind.Int);
    public static readonly CelType Uint = new(CelKind.Uint);
    public static readonly CelType Double = new(CelKind.Double);
    public static readonly CelType String = new(CelKind.String);
    public static readonly CelType Bytes = new(CelKind.Bytes);
    public static readonly CelType Timestamp = new(CelKind.Timestamp);
    public static readonly CelType Duration = new(CelKind.Duration);
    public static readonly CelType Type = new(CelKind.Type);
    public static readonly CelType Quantity = new(CelKind.Quantity);
    public static readonly CelType Address = new(CelKind.Address);
    public static readonly CelType Cidr = new(CelKind.Cidr);
    public static readonly CelType Url = new(CelKind.Url);
    public static readonly CelType Authorizer = new(CelKind.Authorizer);
    public static readonly CelType PathCheck = new(CelKind.PathCheck);
    public static readonly CelType GroupCheck = new(CelKind.GroupCheck);
    public static readonly CelType ResourceCheck = new(CelKind.ResourceCheck);
    public static readonly CelType Decision = new(CelKind.Decision);
    public static readonly CelType Format = new(CelKind.Format);
    public static readonly CelType T = new(CelKind.Parameter);

    private CelType(CelKind kind, CelType? key = null, CelType? element = null, Func<string, CelType?>? field = null) => (Kind, Key, Element, Field) = (kind, key, element, field);

    public CelKind Kind { get; }

    /// <summary>Of the keys of a map.</summary>
    public CelType? Key { get; }

    /// <summary>Of the elements of a list, the values of a map, or what an optional value may be.</summary>
    public CelType? Element { get; }

    /// <summary>The most characters or elements that a value can have; null where nothing bounds it.</summary>
    public long? SizeMax { get; private init; }

    /// <summary>The type of a field of an object by its name in CEL; null where there is none.</summary>
    public Func<string, CelType?>? Field { get; }

    public static CelType ListOf(CelType element) => new(CelKind.List, element: element);

    public static CelType MapOf(CelType key, CelType element) => new(CelKind.Map, key, element);

    public static CelType OptionalOf(CelType element) => new(CelKind.Optional, element: element);

    /// <summary>The same type for values of at most so many characters or elements.</summary>
    public CelType Bounded(long sizeMax) => new(Kind, Key, Element, Field) { SizeMax = sizeMax };

    public static CelType ObjectOf(Func<string, CelType?> field) => new(CelKind.Object, field: field);

    /// <summary>Whether a value of this type may stand where <paramref name="wanted"/> is asked for. Dyn fits everywhere.</summary>
    public bool Fits(CelType wanted)
    {
        if (Kind == CelKind.Dyn || wanted.Kind is CelKind.Dyn or CelKind.Parameter) return true;
        if (Kind == CelKind.Null) return wanted.Kind is CelKind.Null or CelKind.Object or CelKind.Timestamp or CelKind.Duration;
        if (wanted.Kind == CelKind.Null) return Kind is CelKind.Object or CelKind.Timestamp or CelKind.Duration;
        if (Kind == CelKind.Object && wanted.Kind == CelKind.Map) return false;
        if (Kind != wanted.Kind) return false;
        return Kind switch
        {
            CelKind.List or CelKind.Optional => Element!.Fits(wanted.Element!),
            CelKind.Map => Key!.Fits(wanted.Key!) && Element!.Fits(wanted.Element!),
            _ => true,
        };
    }

    public override string ToString() => Kind switch
    {
        CelKind.List => $"list({Element})",
        CelKind.Map => $"map({Key}, {Element})",
        CelKind.Timestamp => "google.protobuf.Timestamp",
        CelKind.Duration => "google.protobuf.Duration",
        CelKind.Null => "null_type",
        CelKind.Address => "net.IP",
        CelKind.Cidr => "net.CIDR",
        CelKind.Url => "kubernetes.URL",
        CelKind.Quantity => "kubernetes.Quantity",
        CelKind.Parameter => "T",
        CelKind.Optional => $"optional_type({Element})",
        CelKind.Authorizer or CelKind.PathCheck or CelKind.GroupCheck or CelKind.ResourceCheck or CelKind.Decision => $"kubernetes.authorization.{Kind}",
        CelKind.Format => "kubernetes.NamedFormat",
        _ => Kind.ToString().ToLowerInvariant(),
    };
}
