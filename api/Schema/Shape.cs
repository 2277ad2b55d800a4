namespace Declarative.Api.Schema;

/// <summary>The JSON form of a value, as <c>types.tsv</c> names it.</summary>
public enum Shape : byte
{
    /// <summary>Any JSON value, kept as it is: RawExtension, FieldsV1, and types that the table does not have.</summary>
    Any,
    String,
    Bool,
    Int32,
    Int64,
    Float64,

    /// <summary>A string in base64.</summary>
    Bytes,

    /// <summary>A quantity such as <c>100m</c> or <c>1Gi</c>; a number is accepted too.</summary>
    Quantity,

    /// <summary>An integer of 32 bits or a string.</summary>
    IntOrString,

    /// <summary>RFC 3339, whole seconds.</summary>
    Time,

    /// <summary>RFC 3339 with six decimals.</summary>
    MicroTime,

    /// <summary>A duration such as <c>1m30s</c>.</summary>
    Duration,
    Object,
    List,
    Map,

    /// <summary>One of several forms, told apart by the kind of JSON value.</summary>
    OneOf,
}

/// <summary>How server-side apply treats a list, map or object (<c>list_type</c> of the table).</summary>
public enum ListType : byte
{
    /// <summary>The default: objects and maps are granular, lists are atomic.</summary>
    Unset,
    Atomic,
    Set,
    Map,
    Granular,
}
