using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Declarative.Api.Objects;
using Declarative.Lb.Routes;

namespace Declarative.Lb.Settings;

/// <summary>Text of an annotation → value; null where the text has another form.</summary>
internal static class SettingForms
{
    /// <summary>Units may follow one another as in Go: 1h30m.</summary>
    public static TimeSpan? Time(string text)
    {
        var total = TimeSpan.Zero;
        var rest = text.AsSpan().Trim();
        if (rest.IsEmpty) return null;
        while (!rest.IsEmpty)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits <= 0 || !double.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return null;
            rest = rest[digits..];
            var letters = rest.IndexOfAny("0123456789.");
            var unit = letters < 0 ? rest : rest[..letters];
            double? seconds = unit switch { "ms" => 0.001, "s" => 1, "m" => 60, "h" => 3600, "d" => 86_400, _ => null };
            if (seconds is null || number * seconds.Value > TimeSpan.MaxValue.TotalSeconds / 4) return null;
            total += TimeSpan.FromSeconds(number * seconds.Value);
            rest = letters < 0 ? [] : rest[letters..];
        }
        return total;
    }

    public static int? Number(string text, int min, int max) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= min && number <= max ? number : null;

    public static double? Percent(string text) =>
        text.EndsWith('%') && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= 100 ? number : null;

    public static long? Bytes(string text) => Quantity.TryParse(text, out var quantity) && quantity.Milli >= 0 ? quantity.Value : null;

    /// <summary>RFC 9110 section 5.6.2.</summary>
    public static bool IsToken(string text) => text.Length > 0 && text.All(static x => char.IsAsciiLetterOrDigit(x) || "!#$%&'*+-.^_`|~".Contains(x, StringComparison.Ordinal));

    /// <summary>Can stand in a header: no control bytes, nothing that ends a line.</summary>
    public static bool IsText(string text) => text.All(static x => x is >= ' ' and < '\u007f');

    public static bool IsPath(string text) => text.StartsWith('/') && text.All(static x => x is > ' ' and < '\u007f' and not ('?' or '#'));

    public static ImmutableSortedDictionary<string, int>? Weights(string text)
    {
        var weights = ImmutableSortedDictionary.CreateBuilder<string, int>(StringComparer.Ordinal);
        foreach (var part in List(text))
        {
            var equals = part.LastIndexOf('=');
            if (equals <= 0 || Number(part[(equals + 1)..].Trim(), 0, Limits.WeightMax) is not { } weight) return null;
            weights[part[..equals].Trim()] = weight;
        }
        return weights.Count == 0 ? null : weights.ToImmutable();
    }

    /// <summary>A number alone is none.</summary>
    public static IPAddress? Address(string text) =>
        IPAddress.TryParse(text, out var address) && text.Contains(address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? '.' : ':') ? address : null;

    /// <summary>A single address is a network of its own.</summary>
    public static ImmutableArray<IPNetwork>? Networks(string text)
    {
        var networks = ImmutableArray.CreateBuilder<IPNetwork>();
        foreach (var part in text.Split([',', ' '], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (Address(part) is { } single) networks.Add(new(single, single.GetAddressBytes().Length * 8));
            else if (IPNetwork.TryParse(part, out var network)) networks.Add(network);
            else return null;
        }
        return networks.Count == 0 ? null : networks.ToImmutable();
    }

    public static RateLimit? Rate(string text)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length is not (1 or 3) || words[0].Split('/') is not [var count, var unit] || Number(count, 1, 1_000_000) is not { } number) return null;
        double? seconds = unit switch { "s" => 1, "m" => 60, "h" => 3600, _ => null };
        if (seconds is null) return null;
        var burst = number;
        if (words.Length == 3)
        {
            if (words[1] != "burst" || Number(words[2], 0, 1_000_000) is not { } given) return null;
            burst = given;
        }
        return new(number / seconds.Value, burst);
    }

    public static ImmutableArray<ServiceKey>? Secrets(string ns, string text)
    {
        var names = List(text);
        return names.Length == 0 || names.Any(static x => Names.SubdomainError(x) is not null) ? null : [.. names.Select(x => new ServiceKey(ns, x))];
    }

    public static Redirect? Redirect(string text)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length is not (1 or 2) || !IsText(words[0])) return null;
        if (words[0] is not ['/', ..] && !words[0].StartsWith("http://", StringComparison.Ordinal) && !words[0].StartsWith("https://", StringComparison.Ordinal)) return null;
        if (words.Length == 1) return new(Https: false, words[0], 302);
        return words[1] is "301" or "302" or "303" or "307" or "308" ? new(Https: false, words[0], int.Parse(words[1], CultureInfo.InvariantCulture)) : null;
    }

    /// <summary>RFC 6797 section 6.1.</summary>
    public static string? Hsts(string text)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length == 0 || Time(words[0]) is not { } age || words[1..].Any(static x => x is not ("includeSubDomains" or "preload"))) return null;
        return string.Join("; ", [string.Create(CultureInfo.InvariantCulture, $"max-age={(long)age.TotalSeconds}"), .. words[1..]]);
    }

    public static ImmutableArray<HeaderRule>? Headers(string text)
    {
        var rules = ImmutableArray.CreateBuilder<HeaderRule>();
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var words = line.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            HeaderAction? action = words[0] switch { "set" => HeaderAction.Set, "add" => HeaderAction.Add, "remove" => HeaderAction.Remove, _ => null };
            if (action is not { } known || words.Length != (known == HeaderAction.Remove ? 2 : 3) || !IsToken(words[1]) || IsFraming(words[1])) return null;
            if (known != HeaderAction.Remove && !IsText(words[2])) return null;
            rules.Add(new(known, words[1], known == HeaderAction.Remove ? "" : words[2]));
        }
        return rules.Count == 0 ? null : rules.ToImmutable();
    }

    public static ImmutableArray<SplitRule>? Split(string ns, string text)
    {
        var rules = ImmutableArray.CreateBuilder<SplitRule>();
        foreach (var part in List(text))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0 || Names.SubdomainError(part[..equals]) is not null) return null;
            var (service, way) = (new ServiceKey(ns, part[..equals]), part[(equals + 1)..]);
            if (Percent(way) is { } percent) rules.Add(new(service, percent, "", "", ""));
            else if (way.Split(':', 3) is ["header" or "cookie", var name, ..] words && IsToken(name))
            {
                var value = words.Length == 3 ? words[2] : "";
                rules.Add(words[0] == "header" ? new(service, 0, name, "", value) : new(service, 0, "", name, value));
            }
            else return null;
        }
        return rules.Count == 0 || rules.Sum(static x => x.Percent) > 100.0001 ? null : rules.ToImmutable();
    }

    private static string[] List(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>What says where a message ends, or belongs to one connection alone, is nobody's to change (RFC 9112 section 6, RFC 9110 section 7.6.1).</summary>
    private static bool IsFraming(string name) =>
        name.ToLowerInvariant() is "content-length" or "transfer-encoding" or "connection" or "upgrade" or "te" or "trailer" or "keep-alive" or "proxy-connection" or "host";
}
