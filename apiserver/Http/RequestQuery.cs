using System.Globalization;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>The parameters after <c>?</c>, decoded, in the order of the URL. Names are case-sensitive, as in Kubernetes.</summary>
internal sealed class RequestQuery
{
    public static RequestQuery Empty { get; } = new([]);

    private const int ParametersMax = 128;
    private readonly List<KeyValuePair<string, string>> _values;

    private RequestQuery(List<KeyValuePair<string, string>> values) => _values = values;

    public static RequestQuery Parse(ReadOnlySpan<char> query)
    {
        if (query.IsEmpty) return Empty;
        var values = new List<KeyValuePair<string, string>>(4);
        foreach (var range in query.Split('&'))
        {
            var part = query[range];
            if (part.IsEmpty) continue;
            if (values.Count == ParametersMax) throw Status.BadRequest($"more than {ParametersMax} query parameters");
            var equals = part.IndexOf('=');
            values.Add(equals < 0 ? new(Decode(part), "") : new(Decode(part[..equals]), Decode(part[(equals + 1)..])));
        }
        return new(values);
    }

    /// <summary>The first value of a parameter, "" where it is absent.</summary>
    public string Text(string name)
    {
        foreach (var (key, value) in _values)
        {
            if (key == name) return value;
        }
        return "";
    }

    public bool Has(string name)
    {
        foreach (var (key, _) in _values)
        {
            if (key == name) return true;
        }
        return false;
    }

    public IEnumerable<string> All(string name) => _values.Where(x => x.Key == name).Select(x => x.Value);

    /// <summary>true, 1 and a parameter without value are true.</summary>
    public bool Flag(string name) => Has(name) && Text(name) is not ("false" or "0" or "False" or "FALSE" or "f" or "F");

    /// <summary>null where the parameter is absent or empty; 400 where it is no integer of at least <paramref name="min"/>.</summary>
    public long? Number(string name, long min = 0)
    {
        var text = Text(name);
        if (text.Length == 0) return null;
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= min) return number;
        throw Status.BadRequest($"query parameter {name}: \"{text}\" is not an integer of at least {min}");
    }

    private static string Decode(ReadOnlySpan<char> text)
    {
        if (!text.ContainsAny('%', '+')) return text.ToString();
        return Uri.UnescapeDataString(text.Contains('+') ? text.ToString().Replace('+', ' ') : text.ToString());
    }
}
