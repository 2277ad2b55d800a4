using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Declarative.Dns.Zones;
using Declarative.Mesos.Scheduler.Http;
using Declarative.Mesos.Scheduler.ZooKeeper;

namespace Declarative.Dns;

/// <summary>
/// Mesos-DNS' <c>config.json</c>, read unchanged: its keys in any case, its defaults, its checks. What it says is in <see cref="Options"/>.
/// </summary>
public sealed partial class MesosDnsConfig
{
    private readonly Dictionary<string, JsonElement> _values = new(StringComparer.OrdinalIgnoreCase);
    private readonly string _file;

    private MesosDnsConfig(string file, JsonElement root)
    {
        _file = file;
        if (root.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{file}: expected a JSON object");
        // Of two keys that differ in case only, the last one counts.
        foreach (var member in root.EnumerateObject())
            _values[member.Name] = member.Value.Clone();
    }

    /// <summary>Keys that are read but change nothing, with the reason; in the order of the file.</summary>
    public IReadOnlyList<string> Ignored => [.. _values.Keys.Where(Without.ContainsKey).Select(key => $"{key}: {Without[key]}"), .. _values.Keys.Where(k => !Known.Contains(k)).Select(k => $"{k}: not a key of Mesos-DNS")];

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="FormatException">What it says cannot be; the message names file, key and what was expected.</exception>
    public static MesosDnsConfig Load(string file)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(file));
            return new MesosDnsConfig(file, document.RootElement);
        }
        catch (JsonException e)
        {
            throw new FormatException($"{file}: {e.Message}", e);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException($"{file}: {e.Message}", e);
        }
    }

    /// <summary>The options that this configuration amounts to, on top of others.</summary>
    /// <exception cref="FormatException">As <see cref="Load"/>.</exception>
    public DnsOptions Options(DnsOptions otherwise)
    {
        var domain = Text("domain", "mesos").ToLowerInvariant();
        if (!DomainPattern().IsMatch(domain))
            throw Wrong("domain", domain, "a domain name such as mesos");
        var http = Flag("httpon", true);
        var dns = Flag("dnson", true);
        if (!dns && !http)
            throw Wrong("dnson", "false", "true, as httpon is false: one of the two has to be on");
        var server = Text("SOAMname", $"ns1.{domain}");
        return otherwise with
        {
            Source = this,
            MesosDomain = domain,
            Listen = new IPEndPoint(Address("listener", "0.0.0.0"), Port("port", 53)),
            AnswersDns = dns,
            ClusterListen = null,
            Http = http ? new IPEndPoint(Address("HTTPListener", "0.0.0.0"), Port("httpport", 8123)) : null,
            Times = new ZoneTimes(Number("ttl", 60), Number("ttl", 60), Number("SOARefresh", 60), Number("SOARetry", 600), Number("SOAExpire", 86400)),
            SoaServer = Name("SOAMname", server),
            SoaMailbox = Name("SOARname", Text("SOARname", $"root.{server}").Replace('@', '.')),
            SrvWeight = (ushort)Number("srvRecordDefaultWeight", 1, ushort.MaxValue),
            Rfc952 = Flag("enforceRFC952", false),
            IpSources = Sources(),
            Enumeration = Flag("EnumerationOn", true),
            Forward = Flag("externalon", true) ? Forward(domain) : new ForwardOptions(),
            Mesos = new MesosOptions
            {
                Masters = Masters(),
                Https = Flag("mesosHTTPSOn", false),
                Refresh = TimeSpan.FromSeconds(Math.Max(1, Number("refreshSeconds", 60))),
                Timeout = TimeSpan.FromSeconds(Math.Max(1, Number("stateTimeoutSeconds", 300))),
                Access = Credential(new() { CaFile = FileName("CACertFile"), CertificateFile = FileName("CertFile"), KeyFile = FileName("KeyFile") }),
            },
        };
    }

    private ForwardOptions Forward(string domain)
    {
        var zones = new Dictionary<string, IReadOnlyList<IPEndPoint>>(StringComparer.OrdinalIgnoreCase);
        foreach (var (zone, servers) in Lists("zoneResolvers"))
        {
            // A zone above the domain would mask it.
            if (!Wire.DnsName.TryParse(zone, out var name) || Wire.DnsName.Parse(domain).IsWithin(name))
                throw Wrong($"zoneResolvers.{zone}", zone, $"a domain name other than {domain} and not above it");
            zones[zone] = [.. servers.Select((t, i) => Server($"zoneResolvers.{zone}[{i}]", t))];
        }
        var given = Texts("resolvers", ["8.8.8.8"]);
        return new ForwardOptions
        {
            Resolvers = given.Count > 0 ? [.. given.Select((t, i) => Server($"resolvers[{i}]", t))] : SystemResolvers(),
            Zones = zones,
            Timeout = TimeSpan.FromSeconds(Math.Max(1, Number("timeout", 5, 3600))),
        };
    }

    /// <summary>Those of this machine that are not on it: one on it may well be this server.</summary>
    private static IReadOnlyList<IPEndPoint> SystemResolvers() =>
        !System.IO.File.Exists("/etc/resolv.conf") ? []
        : [.. System.IO.File.ReadLines("/etc/resolv.conf").Select(l => l.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)).Where(p => p is ["nameserver", ..] && p.Length > 1)
            .Select(p => IPAddress.TryParse(p[1], out var address) ? address : IPAddress.Loopback).Where(a => !IPAddress.IsLoopback(a)).Select(a => new IPEndPoint(a, 53))];

    private IEnumerable<(string Key, IReadOnlyList<string> Texts)> Lists(string key)
    {
        if (!_values.TryGetValue(key, out var value) || value.ValueKind == JsonValueKind.Null)
            return [];
        if (value.ValueKind != JsonValueKind.Object || value.EnumerateObject().Any(m => m.Value.ValueKind != JsonValueKind.Array || m.Value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.String)))
            throw Wrong(key, value.GetRawText(), "{\"zone\": [\"address\"]}");
        return value.EnumerateObject().Select(m => (m.Name, (IReadOnlyList<string>)[.. m.Value.EnumerateArray().Select(v => v.GetString()!)]));
    }

    /// <summary>The file as it is, without what is secret.</summary>
    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var (key, value) in _values)
        {
            if (key.Equals("mesosCredentials", StringComparison.OrdinalIgnoreCase))
                continue;
            json.WritePropertyName(key);
            if (key.Equals("zk", StringComparison.OrdinalIgnoreCase) && value.ValueKind == JsonValueKind.String && value.GetString()!.Length > 0)
                json.WriteStringValue(ZooKeeperAddress.Parse(value.GetString()!).ToString());
            else
                value.WriteTo(json);
        }
        json.WriteEndObject();
    }

    private MasterAccess Credential(MasterAccess access)
    {
        switch (Text("mesosAuthentication", ""))
        {
            case "":
                return access;
            case "basic" when _values.TryGetValue("mesosCredentials", out var given) && given.ValueKind == JsonValueKind.Object:
                return access.WithSecret(Part(given, "principal"), Part(given, "secret"));
            case "basic":
                throw Wrong("mesosCredentials", "nothing", "{\"principal\": …, \"secret\": …}, as mesosAuthentication is basic");
            case "iam":
                var file = FileName("IAMConfigFile") ?? throw Wrong("IAMConfigFile", "nothing", "the file of a service account, as mesosAuthentication is iam");
                try
                {
                    return access with { Account = ServiceAccount.Load(file) };
                }
                catch (Exception e) when (e is FormatException or IOException)
                {
                    throw new FormatException($"{_file}: IAMConfigFile: {e.Message}", e);
                }
            case var other:
                throw Wrong("mesosAuthentication", other, "\"basic\", \"iam\" or \"\"");
        }

        string Part(JsonElement given, string name) =>
            given.EnumerateObject().Where(m => m.Name.Equals(name, StringComparison.OrdinalIgnoreCase) && m.Value.ValueKind == JsonValueKind.String)
                .Select(m => m.Value.GetString()!).LastOrDefault() ?? throw Wrong($"mesosCredentials.{name}", "nothing", "text");
    }

    /// <summary>A source of addresses by Mesos-DNS' word for it; null where it has none such.</summary>
    public static IpSource? Source(string text) => text switch
    {
        "netinfo" => IpSource.Network,
        "mesos" => IpSource.Mesos,
        "docker" => IpSource.Docker,
        "host" => IpSource.Host,
        _ => null,
    };

    private IReadOnlyList<IpSource> Sources()
    {
        var sources = Texts("IPSources", ["netinfo", "mesos", "host"]).Select(text => Source(text) ?? throw Wrong("IPSources", text, "netinfo, mesos, docker or host")).ToList();
        if (sources.Count == 0 || sources.Distinct().Count() < sources.Count)
            throw Wrong("IPSources", sources.Count == 0 ? "[]" : "a source twice", "each at most once, and one at least");
        return sources;
    }

    /// <summary>With both, ZooKeeper says who the masters are.</summary>
    private IReadOnlyList<string> Masters()
    {
        if (Text("zk", "") is { Length: > 0 } zk)
        {
            try
            {
                ZooKeeperAddress.Parse(zk);
                return [zk];
            }
            catch (FormatException e)
            {
                throw new FormatException($"{_file}: zk: {e.Message}", e);
            }
        }
        var listed = Texts("masters", []);
        return listed.Count > 0 ? [.. listed.Select((t, i) => Master(i, t))] : throw Wrong("masters", "[]", "at least one host:port, or zk");
    }

    private string Master(int index, string text) =>
        Uri.TryCreate($"{(Flag("mesosHTTPSOn", false) ? "https" : "http")}://{text}", UriKind.Absolute, out var address) && text.Contains(':', StringComparison.Ordinal) && address.AbsolutePath == "/"
            ? address.GetLeftPart(UriPartial.Authority) : throw Wrong($"masters[{index}]", text, "host:port");

    private IPEndPoint Server(string key, string text) =>
        !text.StartsWith('[') && IPAddress.TryParse(text, out var address) ? new IPEndPoint(address, 53)
        : IPEndPoint.TryParse(text, out var endpoint) && endpoint.Port > 0 ? endpoint : throw Wrong(key, text, "an IP address, or address:port");

    private string Name(string key, string text) => Wire.DnsName.TryParse(text, out var name) ? name.ToString() : throw Wrong(key, text, "a domain name");

    private IPAddress Address(string key, string otherwise) =>
        IPAddress.TryParse(Text(key, otherwise), out var address) && address.AddressFamily is AddressFamily.InterNetwork or AddressFamily.InterNetworkV6
            ? address! : throw Wrong(key, Text(key, otherwise), "an IP address");

    private int Port(string key, uint otherwise) => Number(key, otherwise, ushort.MaxValue) is var port and > 0 ? (int)port : throw Wrong(key, "0", "a port, 1..65535");

    private string? FileName(string key) => Text(key, "") is { Length: > 0 } file ? file : null;

    private string Text(string key, string otherwise) =>
        !_values.TryGetValue(key, out var value) || value.ValueKind == JsonValueKind.Null ? otherwise
        : value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(key, value.GetRawText(), "text");

    private IReadOnlyList<string> Texts(string key, IReadOnlyList<string> otherwise) =>
        !_values.TryGetValue(key, out var value) || value.ValueKind == JsonValueKind.Null ? otherwise
        : value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(v => v.ValueKind == JsonValueKind.String)
            ? [.. value.EnumerateArray().Select(v => v.GetString()!)] : throw Wrong(key, value.GetRawText(), "a list of texts");

    private bool Flag(string key, bool otherwise) =>
        !_values.TryGetValue(key, out var value) || value.ValueKind == JsonValueKind.Null ? otherwise
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : throw Wrong(key, value.GetRawText(), "true or false");

    private uint Number(string key, uint otherwise, uint max = int.MaxValue) =>
        !_values.TryGetValue(key, out var value) || value.ValueKind == JsonValueKind.Null ? otherwise
        : value.ValueKind == JsonValueKind.Number && value.TryGetUInt32(out var number) && number <= max
            ? number : throw Wrong(key, value.GetRawText(), $"a whole number, 0..{max}");

    private FormatException Wrong(string key, string found, string expected) => new($"{_file}: {key}: found {found}, expected {expected}");

    [GeneratedRegex("^[a-zA-Z0-9-]+(\\.[a-zA-Z0-9-]+)*$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex DomainPattern();

    private static readonly Dictionary<string, string> Without = new(StringComparer.OrdinalIgnoreCase)
    {
        ["recurseon"] = "recursion is never offered",
        ["SetTruncateBit"] = "an answer that was cut always says so",
        ["SOAMinttl"] = "negative answers are cached as long as the others, as Mesos-DNS does it",
        ["zkDetectionTimeout"] = "the server goes on looking for a master instead of ending",
    };

    private static readonly HashSet<string> Known = new(StringComparer.OrdinalIgnoreCase)
    {
        "zk", "zkDetectionTimeout", "masters", "mesosAuthentication", "mesosCredentials", "IAMConfigFile", "mesosHTTPSOn", "CACertFile", "CertFile", "KeyFile",
        "refreshSeconds", "stateTimeoutSeconds", "ttl", "srvRecordDefaultWeight", "domain", "listener", "port", "dnson", "httpon", "HTTPListener", "httpport",
        "resolvers", "zoneResolvers", "timeout", "externalon", "recurseon", "SOAMname", "SOARname", "SOARefresh", "SOARetry", "SOAExpire", "SOAMinttl",
        "IPSources", "enforceRFC952", "SetTruncateBit", "EnumerationOn",
    };
}
