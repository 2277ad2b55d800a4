using System.CommandLine;
using System.Net;
using Declarative.Api;
using Declarative.Cli.Roles;
using Declarative.Dns;
using Declarative.Dns.Zones;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative dns</c>: the DNS server alone, beside an API server or in the place of Mesos-DNS.</summary>
internal static class DnsCommand
{
    private static readonly Option<string?> Config = new("--mesos-dns-config") { Description = "Mesos-DNS' config.json: serve its Mesos cluster in its place, with no API server", HelpName = "FILE" };
    private static readonly MasterOptions Masters = new("whose other frameworks are named too");
    private static readonly Option<string?> Listen = new("--listen") { Description = "Where DNS is answered (default 127.0.0.1:8053)", HelpName = "IP[:PORT]" };
    private static readonly Option<string> MesosDomain = Text("--mesos-domain", "Domain of Mesos tasks", "NAME", "mesos");
    private static readonly Option<string> Framework = Text("--framework-name", "Name under which our own framework is registered (controllers --framework-name)", "NAME", "declarative");
    private static readonly Option<string> ClusterDomain = Text("--cluster-domain", "Domain of Kubernetes services", "NAME", "cluster.local");
    private static readonly Option<int> MesosTtl = Number("--mesos-ttl", "Seconds that answers in the Mesos domain may be cached", 5);
    private static readonly Option<int> ClusterTtl = Number("--cluster-ttl", "The same in the cluster domain and for names of addresses; an annotation of a Service or a pod says otherwise", 5);
    private static readonly Option<bool> Rfc952 = new("--rfc952") { Description = "Names of tasks as labels of at most 24 characters that begin with a letter" };
    private static readonly Option<string[]> IpSources = Many("--ip-source", "Where the address of another framework's task is looked for, in the order given: netinfo, mesos, docker or host (default netinfo, mesos, host)", "SOURCE");
    private static readonly Option<int> SrvWeight = Number("--srv-weight", "Weight of SRV records, 0..65535, where no annotation says otherwise", 1);
    private static readonly Option<bool> AllRunning = new("--all-running") { Description = "Name every running task, also one that is not ready" };
    private static readonly Option<int> StaleAfter = Number("--stale-after", "Seconds without word from the masters until their state counts as stale", 300);
    private static readonly Option<string> Stale = Text("--stale", "What to answer then: keep (what was known) or servfail", "POLICY", "keep");
    private static readonly Option<string[]> Resolvers = Many("--resolver", "Server for names of other zones, in the order given; without any they are refused", "IP[:PORT]");
    private static readonly Option<string[]> ZoneResolvers = Many("--zone-resolver", "Server for one other zone", "ZONE=IP[:PORT]");
    private static readonly Option<string[]> TransferTo = Many("--allow-transfer", "Network whose hosts may copy the zones (AXFR, IXFR)", "CIDR");
    private static readonly Option<string[]> Notify = Many("--notify", "Secondary server that is told of changes", "IP[:PORT]");
    private static readonly Option<int> Rate = new("--rate-limit") { Description = "UDP answers per second and thread to one network, 0: no limit", HelpName = "N", DefaultValueFactory = _ => 0 };
    private static readonly Option<string?> Certificate = new("--tls-cert") { Description = "Certificate (PEM): DNS over TLS on 8853 and over HTTPS on 8443", HelpName = "FILE" };
    private static readonly Option<string?> Key = new("--tls-key") { Description = "Its key (PEM); default: in the certificate's file", HelpName = "FILE" };

    public static Command Make(Machine machine)
    {
        var (data, offset, level, kubeconfig) = (CommonOptions.Data(), CommonOptions.PortOffset(), CommonOptions.LogLevel(), RoleCommand.KubeconfigOption());
        var command = new Command("dns", "Run the DNS server alone.")
        {
            data, kubeconfig, Config, Listen, MesosDomain, Framework, ClusterDomain, MesosTtl, ClusterTtl, Rfc952, IpSources, SrvWeight, AllRunning, StaleAfter, Stale, Resolvers, ZoneResolvers,
            TransferTo, Notify, Rate, Certificate, Key, offset, level,
        };
        Masters.AddTo(command);
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            using var logs = CommonOptions.Loggers(parsed.GetValue(level)!);
            var given = Read(parsed, parsed.GetValue(offset));
            var directory = DataDirectory.At(parsed.GetValue(data)!);
            IApi? api = null;
            if (parsed.GetValue(Config) is { } file)
                given = MesosDns(file, given, logs.CreateLogger("dns"));
            else
                api = RoleCommand.Remote(parsed.GetValue(kubeconfig), directory, "dns", machine, logs);
            using var instance = RoleInstance.Hold(directory, "dns");
            var role = await DnsRole.Start(api, given, machine, logs);
            return await RoleCommand.UntilStopped($"{(given.AnswersDns ? $"DNS at {given.Listen}" : "No DNS")}, {(given.Http is { } http ? $"HTTP API at {http}" : "no HTTP API")}.", role.Running, [role], stop);
        }));
        return command;
    }

    /// <summary>What the command line says, on top of the defaults.</summary>
    /// <exception cref="UsageException">An option's value cannot be; the message names the option and what was expected.</exception>
    internal static DnsOptions Read(ParseResult parsed, int offset)
    {
        var given = DnsRole.Defaults(new Ports(offset), Masters.Masters(parsed), Masters.Access(parsed));
        var (weight, after) = (parsed.GetValue(SrvWeight), parsed.GetValue(StaleAfter));
        return given with
        {
            Listen = parsed.GetValue(Listen) is { } listen ? Server("--listen", listen) : given.Listen,
            MesosDomain = parsed.GetValue(MesosDomain)!,
            Framework = parsed.GetValue(Framework)!,
            ClusterDomain = parsed.GetValue(ClusterDomain)!,
            Times = Ttl(parsed.GetValue(MesosTtl), "--mesos-ttl"),
            ClusterTimes = Ttl(parsed.GetValue(ClusterTtl), "--cluster-ttl"),
            Rfc952 = parsed.GetValue(Rfc952),
            IpSources = parsed.GetValue(IpSources) is { Length: > 0 } sources ? Sources(sources) : given.IpSources,
            SrvWeight = weight is >= 0 and <= ushort.MaxValue ? (ushort)weight : throw new UsageException($"--srv-weight {weight}: expected 0..65535"),
            HealthAware = !parsed.GetValue(AllRunning),
            StaleAfter = after > 0 ? TimeSpan.FromSeconds(after) : throw new UsageException($"--stale-after {after}: expected at least 1"),
            Stale = parsed.GetValue(Stale) switch
            {
                "keep" => StalePolicy.Keep,
                "servfail" => StalePolicy.ServFail,
                var other => throw new UsageException($"--stale {other}: expected keep or servfail"),
            },
            Forward = new ForwardOptions
            {
                Resolvers = [.. parsed.GetValue(Resolvers)!.Select(t => Server("--resolver", t))],
                Zones = parsed.GetValue(ZoneResolvers)!.Select(ZoneServer).GroupBy(z => z.Zone, z => z.Server, StringComparer.OrdinalIgnoreCase)
                    .ToDictionary(z => z.Key, z => (IReadOnlyList<IPEndPoint>)[.. z], StringComparer.OrdinalIgnoreCase),
            },
            TransferTo = [.. parsed.GetValue(TransferTo)!.Select(t => IPNetwork.TryParse(t, out var network) ? network : throw new UsageException($"--allow-transfer {t}: expected ADDRESS/BITS"))],
            Notify = [.. parsed.GetValue(Notify)!.Select(t => Server("--notify", t))],
            RatePerSecond = parsed.GetValue(Rate),
            Tls = parsed.GetValue(Certificate) is { } pem ? Tls(pem, parsed.GetValue(Key), offset) : null,
        };
    }

    private static ZoneTimes Ttl(int seconds, string option) =>
        seconds >= 0 ? new ZoneTimes((uint)seconds, (uint)seconds) : throw new UsageException($"{option} {seconds}: expected 0 or more");

    private static IReadOnlyList<IpSource> Sources(string[] texts)
    {
        IpSource[] sources = [.. texts.Select(text => MesosDnsConfig.Source(text) ?? throw new UsageException($"--ip-source {text}: expected netinfo, mesos, docker or host"))];
        return sources.Distinct().Count() == sources.Length ? sources : throw new UsageException("--ip-source: expected each source at most once");
    }

    private static Option<string> Text(string name, string description, string value, string otherwise) =>
        new(name) { Description = description, HelpName = value, DefaultValueFactory = _ => otherwise };

    private static Option<int> Number(string name, string description, int otherwise) =>
        new(name) { Description = description, HelpName = "N", DefaultValueFactory = _ => otherwise };

    private static Option<string[]> Many(string name, string description, string value) =>
        new(name) { Description = description + "; may be given again", HelpName = value, DefaultValueFactory = _ => [] };

    private static IPEndPoint Server(string option, string text) =>
        !text.StartsWith('[') && IPAddress.TryParse(text, out var address) ? new(address, 53)
        : IPEndPoint.TryParse(text, out var server) && server.Port > 0 ? server : throw new UsageException($"{option} {text}: expected an IP address, or IP:PORT");

    private static (string Zone, IPEndPoint Server) ZoneServer(string text) =>
        text.Split('=', 2) is [{ Length: > 0 } zone, var server] ? (zone, Server("--zone-resolver", server)) : throw new UsageException($"--zone-resolver {text}: expected ZONE=IP");

    private static TlsOptions Tls(string certificate, string? key, int offset) => new()
    {
        CertificateFile = certificate,
        KeyFile = key ?? certificate,
        Listen = new(IPAddress.Loopback, 8853 + offset),
        Https = new(IPAddress.Loopback, 8443 + offset),
    };

    private static DnsOptions MesosDns(string file, DnsOptions given, ILogger log)
    {
        try
        {
            var config = MesosDnsConfig.Load(file);
            foreach (var ignored in config.Ignored) MesosDnsLog.Ignored(log, file, ignored);
            return config.Options(given);
        }
        catch (FormatException e)
        {
            throw new UsageException(e.Message);
        }
    }
}

internal static partial class MesosDnsLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "{File}: {Key}")]
    public static partial void Ignored(ILogger logger, string file, string key);
}
