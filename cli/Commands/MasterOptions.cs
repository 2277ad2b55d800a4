using System.CommandLine;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;

namespace Declarative.Cli.Commands;

/// <summary>The options by which a role is told where the Mesos masters are and how they let it in.</summary>
/// <param name="purpose">What the masters are needed for, where they may be left out; null: the controllers', on this machine.</param>
internal sealed class MasterOptions(string? purpose = null)
{
    private readonly Option<string[]> _masters = new("--master") { Description = $"Mesos master{(purpose is null ? "" : " " + purpose)}: http://HOST:PORT (may be given again, or with commas), zk://HOST1:2181,HOST2:2181/mesos, or file:///PATH of a file that holds one of these", HelpName = "MASTER", DefaultValueFactory = _ => purpose is null ? ["http://127.0.0.1:5050"] : [] };
    private readonly Option<string> _principal = new("--mesos-principal") { Description = "Principal to authenticate as with the masters (HTTP basic)", HelpName = "NAME", DefaultValueFactory = _ => "" };
    private readonly Option<string?> _secretFile = new("--mesos-secret-file") { Description = "File with the principal's secret, or a credential as Mesos' --credential takes it", HelpName = "FILE" };
    private readonly Option<string?> _account = new("--mesos-service-account") { Description = "File of a DC/OS service account to log in with in its place", HelpName = "FILE" };
    private readonly Option<string?> _ca = new("--mesos-ca") { Description = "PEM file of the authorities that sign the masters' certificates", HelpName = "FILE" };
    private readonly Option<string?> _certificate = new("--mesos-cert") { Description = "PEM file of the certificate that is shown to the masters", HelpName = "FILE" };
    private readonly Option<string?> _key = new("--mesos-key") { Description = "PEM file of its key, where it is not in the same file", HelpName = "FILE" };
    private readonly Option<bool> _json = new("--mesos-json") { Description = "Speak JSON with the masters instead of protobuf" };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_masters, _principal, _secretFile, _account, _ca, _certificate, _key]) command.Options.Add(option);
        if (purpose is null) command.Options.Add(_json);
    }

    /// <exception cref="UsageException">An option is wrong, or a file that it names.</exception>
    public HttpMasterOptions Read(ParseResult parsed, TimeProvider time)
    {
        var access = Access(parsed);
        try
        {
            return new() { Masters = MasterDetector.Of(parsed.GetValue(_masters)!, access.IsHttps, time), Access = access, Json = parsed.GetValue(_json) };
        }
        catch (Exception wrong) when (wrong is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--master: {wrong.Message}");
        }
    }

    /// <summary>How they let us in.</summary>
    /// <exception cref="UsageException">An option is wrong, or a file that it names.</exception>
    public MasterAccess Access(ParseResult parsed)
    {
        var access = new MasterAccess { CaFile = parsed.GetValue(_ca), CertificateFile = parsed.GetValue(_certificate), KeyFile = parsed.GetValue(_key) };
        var (principal, secret, account) = (parsed.GetValue(_principal)!, parsed.GetValue(_secretFile), parsed.GetValue(_account));
        if (principal.Length > 0 && secret is null) throw new UsageException("--mesos-principal: --mesos-secret-file is needed too");
        if (account is not null && secret is not null) throw new UsageException("--mesos-service-account: expected either this or --mesos-secret-file");
        try
        {
            if (secret is not null) access = access.WithSecretOf(secret, principal);
            return account is null ? access : access with { Account = ServiceAccount.Load(account) };
        }
        catch (Exception wrong) when (wrong is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--mesos-…: {wrong.Message}");
        }
    }

    /// <summary>As they were named.</summary>
    public IReadOnlyList<string> Masters(ParseResult parsed) => parsed.GetValue(_masters)!;

    /// <summary>The masters as they were named.</summary>
    public string Text(ParseResult parsed) => string.Join(", ", parsed.GetValue(_masters)!.Select(x => x.LastIndexOf('@') is var at and > 0 ? "zk://…" + x[at..] : x));
}
