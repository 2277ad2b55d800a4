using System.CommandLine;
using System.Net;
using Declarative.Api;
using Declarative.Cli.Roles;
using Declarative.Dns;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative dns</c>: the DNS server alone, beside an API server or in the place of Mesos-DNS.</summary>
internal static class DnsCommand
{
    public static Command Make(Machine machine)
    {
        var (data, offset, level, kubeconfig) = (CommonOptions.Data(), CommonOptions.PortOffset(), CommonOptions.LogLevel(), RoleCommand.KubeconfigOption());
        var config = new Option<string?>("--mesos-dns-config") { Description = "Mesos-DNS' config.json: serve its Mesos cluster in its place, with no API server", HelpName = "FILE" };
        var masters = new Option<string[]>("--master") { Description = "Mesos masters whose other frameworks are named too: http://HOST:PORT (may be given again), zk://HOST1:2181,HOST2:2181/mesos, or file:///PATH of a file that holds one of these", HelpName = "MASTER", DefaultValueFactory = _ => [] };
        var allRunning = new Option<bool>("--all-running") { Description = "Name every running task, also one that is not ready" };
        var staleAfter = new Option<int>("--stale-after") { Description = "Seconds without word from the masters until their state counts as stale", HelpName = "SECONDS", DefaultValueFactory = _ => 300 };
        var stale = new Option<string>("--stale") { Description = "What to answer then: keep (what was known) or servfail", HelpName = "POLICY", DefaultValueFactory = _ => "keep" };
        stale.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is not ("keep" or "servfail")) result.AddError("--stale: expected keep or servfail");
        });
        var resolvers = Many("--resolver", "Server for names of other zones, in the order given; without any they are refused", "IP[:PORT]");
        var zoneResolvers = Many("--zone-resolver", "Server for one other zone", "ZONE=IP[:PORT]");
        var transferTo = Many("--allow-transfer", "Network whose hosts may copy the zones (AXFR, IXFR)", "CIDR");
        var notify = Many("--notify", "Secondary server that is told of changes", "IP[:PORT]");
        var rate = new Option<int>("--rate-limit") { Description = "UDP answers per second and thread to one network, 0: no limit", HelpName = "N", DefaultValueFactory = _ => 0 };
        var certificate = new Option<string?>("--tls-cert") { Description = "Certificate (PEM): DNS over TLS on 8853 and over HTTPS on 8443", HelpName = "FILE" };
        var key = new Option<string?>("--tls-key") { Description = "Its key (PEM); default: in the certificate's file", HelpName = "FILE" };
        var command = new Command("dns", "Run the DNS server alone.")
        {
            data, kubeconfig, config, masters, allRunning, staleAfter, stale, resolvers, zoneResolvers, transferTo, notify, rate, certificate, key, offset, level,
        };
        command.SetAction((parsed, stop) => CommonOptions.Guard(async () =>
        {
            using var logs = CommonOptions.Loggers(parsed.GetValue(level)!);
            var given = DnsRole.Defaults(new Ports(parsed.GetValue(offset)), parsed.GetValue(masters)!) with
            {
                HealthAware = !parsed.GetValue(allRunning),
                StaleAfter = TimeSpan.FromSeconds(parsed.GetValue(staleAfter)),
                Stale = parsed.GetValue(stale) == "servfail" ? StalePolicy.ServFail : StalePolicy.Keep,
                Forward = new ForwardOptions
                {
                    Resolvers = [.. parsed.GetValue(resolvers)!.Select(t => Server("--resolver", t))],
                    Zones = parsed.GetValue(zoneResolvers)!.Select(ZoneServer).GroupBy(z => z.Zone, z => z.Server, StringComparer.OrdinalIgnoreCase)
                        .ToDictionary(z => z.Key, z => (IReadOnlyList<IPEndPoint>)[.. z], StringComparer.OrdinalIgnoreCase),
                },
                TransferTo = [.. parsed.GetValue(transferTo)!.Select(t => IPNetwork.TryParse(t, out var network) ? network : throw new UsageException($"--allow-transfer {t}: expected ADDRESS/BITS"))],
                Notify = [.. parsed.GetValue(notify)!.Select(t => Server("--notify", t))],
                RatePerSecond = parsed.GetValue(rate),
                Tls = parsed.GetValue(certificate) is { } pem ? Tls(pem, parsed.GetValue(key), parsed.GetValue(offset)) : null,
            };
            var directory = DataDirectory.At(parsed.GetValue(data)!);
            IApi? api = null;
            if (parsed.GetValue(config) is { } file)
                given = MesosDns(file, given, logs.CreateLogger("dns"));
            else
                api = RoleCommand.Remote(parsed.GetValue(kubeconfig), directory, "dns", machine, logs);
            using var instance = RoleInstance.Hold(directory, "dns");
            var role = await DnsRole.Start(api, given, machine, logs);
            return await RoleCommand.UntilStopped($"DNS at {given.Listen}, {(given.Http is { } http ? $"HTTP API at {http}" : "no HTTP API")}.", role.Running, [role], stop);
        }));
        return command;
    }

    private static Option<string[]> Many(string name, string description, string value) =>
        new(name) { Description = description + "; may be given again", HelpName = value, DefaultValueFactory = _ => [] };

    private static IPEndPoint Server(string option, string text) =>
        IPAddress.TryParse(text, out var address) ? new(address, 53)
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
