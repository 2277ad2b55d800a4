using System.Collections;
using System.Globalization;
using System.Net;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Declarative.ApiServer.Cel;

/// <summary>Nanoseconds.</summary>
internal readonly record struct CelDuration(long Nanoseconds);

/// <summary>An exact amount: a decimal with one of Kubernetes' suffixes.</summary>
internal sealed record CelQuantity(BigInteger Nano)
{
    public static readonly BigInteger Unit = 1_000_000_000;
}

/// <summary>A map; its keys are string, long, ulong or bool, and numbers that are equal are one key.</summary>
internal sealed class CelMap : IEnumerable<KeyValuePair<object, object?>>
{
    private readonly OrderedDictionary<object, object?> _entries = [];

    public int Count => _entries.Count;

    public void Add(object key, object? value)
    {
        if (!_entries.TryAdd(Normal(key), value)) throw new CelException($"the map has the key {key} twice");
    }

    public bool TryGet(object? key, out object? value)
    {
        value = null;
        return key is not null && _entries.TryGetValue(Normal(key), out value);
    }

    public IEnumerator<KeyValuePair<object, object?>> GetEnumerator() => _entries.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static object Normal(object key) => key switch
    {
        ulong whole and <= long.MaxValue => (long)whole,
        double real when real == Math.Floor(real) && Math.Abs(real) < 9e18 => (long)real,
        _ => key,
    };
}

/// <summary>Values of expressions: null, bool, long, ulong, double, string, byte[], <see cref="DateTimeOffset"/>, <see cref="CelDuration"/>, lists, <see cref="CelMap"/>, objects as JSON, and those of Kubernetes' libraries.</summary>
internal static class CelValues
{
    public static CelType TypeOf(object? value) => value switch
    {
        null => CelType.Null,
        bool => CelType.Bool,
        long => CelType.Int,
        ulong => CelType.Uint,
        double => CelType.Double,
        string => CelType.String,
        byte[] => CelType.Bytes,
        DateTimeOffset => CelType.Timestamp,
        CelDuration => CelType.Duration,
        CelQuantity => CelType.Quantity,
        IPAddress => CelType.Address,
        Cidr => CelType.Cidr,
        Uri => CelType.Url,
        CelOptional => CelType.OptionalOf(CelType.Dyn),
        CelAuthorizer => CelType.Authorizer,
        CelCheck { Kind: CelKind.PathCheck } => CelType.PathCheck,
        CelCheck { Kind: CelKind.GroupCheck } => CelType.GroupCheck,
        CelCheck => CelType.ResourceCheck,
        CelDecision => CelType.Decision,
        CelFormat => CelType.Format,
        CelType => CelType.Type,
        CelMap => CelType.MapOf(CelType.Dyn, CelType.Dyn),
        CelObject or CelVariables => CelType.MapOf(CelType.String, CelType.Dyn),
        IReadOnlyList<object?> => CelType.ListOf(CelType.Dyn),
        _ => throw new InvalidOperationException(value.GetType().Name),
    };

    /// <summary>A JSON value as the type says that it is to be read.</summary>
    public static object? FromJson(JsonNode? node, CelType type)
    {
        switch (node)
        {
            case null:
                return null;
            case JsonObject json when type.Kind == CelKind.Map:
                var map = new CelMap();
                foreach (var (name, value) in json) map.Add(name, FromJson(value, type.Element!));
                return map;
            case JsonObject json:
                return new CelObject(json, type);
            case JsonArray list:
                var element = type.Element ?? CelType.Dyn;
                return (object?[])[.. list.Select(x => FromJson(x, element))];
        }
        switch (node.GetValueKind())
        {
            case JsonValueKind.True:
                return true;
            case JsonValueKind.False:
                return false;
            case JsonValueKind.Number:
                var number = (JsonValue)node;
                if (type.Kind != CelKind.Double && number.TryGetValue<long>(out var whole)) return whole;
                var real = Real(number);
                if (type.Kind != CelKind.Double && number.TryGetValue<int>(out var small)) return (long)small;
                return type.Kind == CelKind.Int && Math.Abs(real) < 9e18 ? (long)real : real;
            default:
                var text = node.GetValue<string>();
                return type.Kind switch
                {
                    CelKind.Timestamp => ParseTime(text),
                    CelKind.Duration => Durations.TryParse(text, out var duration) ? new CelDuration(duration) : throw new CelException($"\"{text}\" is no duration"),
                    CelKind.Bytes => Convert.FromBase64String(text),
                    _ => text,
                };
        }
    }

    /// <summary>A number, whether it was read from text or set by code.</summary>
    public static double Real(JsonNode number) =>
        number is JsonValue value && value.TryGetValue<double>(out var real) ? real : double.Parse(number.ToJsonString(), CultureInfo.InvariantCulture);

    public static DateTimeOffset ParseTime(string text) =>
        DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) && text.Length >= 10 ? time : throw new CelException($"\"{text}\" is no time of RFC 3339");

    /// <summary>Equality of CEL: numbers by value whatever their type, values of other types are never equal.</summary>
    public static bool Same(object? a, object? b, CelMeter meter)
    {
        meter.Step();
        switch (a, b)
        {
            case (null, null):
                return true;
            case (null, _) or (_, null):
                return false;
            case (string x, string y):
                meter.Read(Math.Min(x.Length, y.Length));
                return x == y;
            case (byte[] x, byte[] y):
                meter.Read(Math.Min(x.Length, y.Length));
                return x.AsSpan().SequenceEqual(y);
            case (CelOptional x, CelOptional y):
                return x.Has == y.Has && (!x.Has || Same(x.Value, y.Value, meter));
            case (Uri x, Uri y):
                return x.OriginalString == y.OriginalString;
            case (IReadOnlyList<object?> x, IReadOnlyList<object?> y):
                if (x.Count != y.Count) return false;
                for (var i = 0; i < x.Count; i++)
                {
                    if (!Same(x[i], y[i], meter)) return false;
                }
                return true;
            case (CelObject x, CelObject y):
                meter.Read(x.Json.Count + y.Json.Count);
                return SameJson(x.Json, y.Json, meter);
            case (CelMap x, CelMap y):
                return SameMap(x, y, meter);
            case (CelMap x, CelObject y):
                return SameMap(x, y.ToMap(), meter);
            case (CelObject x, CelMap y):
                return SameMap(x.ToMap(), y, meter);
            case (long or ulong or double, long or ulong or double):
                return Order(a, b) == 0;
            default:
                return a.GetType() == b.GetType() && a.Equals(b);
        }
    }

    private static bool SameMap(CelMap x, CelMap y, CelMeter meter)
    {
        if (x.Count != y.Count) return false;
        foreach (var (key, value) in x)
        {
            if (!y.TryGet(key, out var other) || !Same(value, other, meter)) return false;
        }
        return true;
    }

    private static bool SameJson(JsonNode? x, JsonNode? y, CelMeter meter)
    {
        meter.Step();
        switch (x, y)
        {
            case (JsonObject a, JsonObject b):
                if (a.Count != b.Count) return false;
                foreach (var (name, value) in a)
                {
                    if (!b.TryGetPropertyValue(name, out var other) || !SameJson(value, other, meter)) return false;
                }
                return true;
            case (JsonArray a, JsonArray b):
                if (a.Count != b.Count) return false;
                for (var i = 0; i < a.Count; i++)
                {
                    if (!SameJson(a[i], b[i], meter)) return false;
                }
                return true;
            default:
                return JsonNode.DeepEquals(x, y);
        }
    }

    /// <summary>Less than, equal or greater; null where one of them is NaN.</summary>
    public static int? Order(object? a, object? b)
    {
        switch (a, b)
        {
            case (long x, long y):
                return x.CompareTo(y);
            case (ulong x, ulong y):
                return x.CompareTo(y);
            case (long x, ulong y):
                return x < 0 ? -1 : ((ulong)x).CompareTo(y);
            case (ulong x, long y):
                return y < 0 ? 1 : x.CompareTo((ulong)y);
            case (long or ulong or double, long or ulong or double):
                var (p, q) = (Convert.ToDouble(a, CultureInfo.InvariantCulture), Convert.ToDouble(b, CultureInfo.InvariantCulture));
                return double.IsNaN(p) || double.IsNaN(q) ? null : p.CompareTo(q);
            case (string x, string y):
                return Math.Sign(CompareText(x, y));
            case (byte[] x, byte[] y):
                return Math.Sign(x.AsSpan().SequenceCompareTo(y));
            case (bool x, bool y):
                return x.CompareTo(y);
            case (DateTimeOffset x, DateTimeOffset y):
                return x.CompareTo(y);
            case (CelDuration x, CelDuration y):
                return x.Nanoseconds.CompareTo(y.Nanoseconds);
            case (CelQuantity x, CelQuantity y):
                return x.Nano.CompareTo(y.Nano);
            default:
                throw new CelException("no such overload: the values can not be ordered");
        }
    }

    /// <summary>In characters of Unicode.</summary>
    public static int Length(string text) => text.Length - text.Count(char.IsLowSurrogate);

    public static string Text(object? value) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        double real => double.IsNaN(real) ? "NaN" : double.IsPositiveInfinity(real) ? "+Inf" : double.IsNegativeInfinity(real) ? "-Inf" : real.ToString("R", CultureInfo.InvariantCulture),
        byte[] bytes => Encoding.UTF8.GetString(bytes),
        DateTimeOffset time => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture),
        CelDuration duration => Durations.Text(duration.Nanoseconds),
        Uri url => url.OriginalString,
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };

    // By code points, which UTF-8 keeps and UTF-16 does not.
    private static int CompareText(string x, string y)
    {
        for (var i = 0; i < Math.Min(x.Length, y.Length); i++)
        {
            if (x[i] == y[i]) continue;
            var (a, b) = (char.IsSurrogate(x[i]), char.IsSurrogate(y[i]));
            return a == b ? x[i] - y[i] : a ? 1 : -1;
        }
        return x.Length - y.Length;
    }
}

/// <summary>An object of a schema, read where it is asked.</summary>
internal sealed class CelObject(JsonObject json, CelType type)
{
    public JsonObject Json => json;

    public bool TryGet(string field, out object? value)
    {
        value = null;
        var name = type.Kind == CelKind.Object ? CelNames.Unescape(field) : field;
        if (!json.TryGetPropertyValue(name, out var node)) return false;
        value = CelValues.FromJson(node, type.Kind == CelKind.Object ? type.Field!(field) ?? CelType.Dyn : CelType.Dyn);
        return true;
    }

    public CelMap ToMap()
    {
        var map = new CelMap();
        foreach (var (name, node) in json) map.Add(name, CelValues.FromJson(node, CelType.Dyn));
        return map;
    }
}
