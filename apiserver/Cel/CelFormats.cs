using Declarative.Api.Objects;
using Declarative.ApiServer.CustomResources;
using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>A form that texts may have, by its name in Kubernetes' format library.</summary>
/// <param name="Error">null, or what is wrong with a text.</param>
internal sealed record CelFormat(string Name, Func<string, string?> Error);

/// <summary>Kubernetes' format library: <c>format.dns1123Label().validate(x)</c> is what is wrong with x, or none.</summary>
internal static class CelFormats
{
    private static readonly CelFormat[] Known =
    [
        new("dns1123Label", Names.LabelError),
        new("dns1123Subdomain", Names.SubdomainError),
        new("dns1035Label", Names.DnsLabel1035Error),
        new("qualifiedName", Names.QualifiedNameError),
        new("dns1123LabelPrefix", x => Names.LabelError(Whole(x))),
        new("dns1123SubdomainPrefix", x => Names.SubdomainError(Whole(x))),
        new("dns1035LabelPrefix", x => Names.DnsLabel1035Error(Whole(x))),
        new("labelValue", Names.LabelValueError),
        new("uri", x => TextFormats.Fits("uri", x) || (x.StartsWith('/') && Uri.TryCreate(x, UriKind.Relative, out _)) ? null : "must be a URI, such as https://example.com/x"),
        new("uuid", x => TextFormats.Fits("uuid", x) ? null : "does not match the UUID format"),
        new("byte", x => TextFormats.Fits("byte", x) ? null : "invalid base64"),
        new("date", x => TextFormats.Fits("date", x) ? null : "invalid date: expected the form 2006-01-02"),
        new("datetime", x => TextFormats.Fits("date-time", x) ? null : "invalid datetime: expected RFC 3339, such as 2006-01-02T15:04:05Z"),
    ];

    public static bool IsName(string function) => function == "named" || Array.Exists(Known, x => x.Name == function);

    public static IEnumerable<CelOverload> All()
    {
        foreach (var format in Known) yield return Of("format." + format.Name, [], CelType.Format, (_, _) => format);
        yield return Of("format.named", [CelType.String], CelType.OptionalOf(CelType.Format), (a, _) => Array.Find(Known, x => x.Name == (string)a[0]!) is { } found ? CelOptional.Of(found) : CelOptional.None);
        yield return Member("validate", [CelType.Format, CelType.String], CelType.OptionalOf(CelType.ListOf(CelType.String)), (a, m) =>
        {
            m.Read(((string)a[1]!).Length);
            return ((CelFormat)a[0]!).Error((string)a[1]!) is { } error ? CelOptional.Of((object?[])[error]) : CelOptional.None;
        });
    }

    // What generateName may be: a hyphen at its end is followed by more.
    private static string Whole(string prefix) => prefix.Length > 1 && prefix.EndsWith('-') ? prefix[..^1] + "a" : prefix;
}
