using System.CommandLine;
using Declarative.ApiServer.Storage.Etcd;

namespace Declarative.Cli.Commands;

/// <summary>The options by which the API server is told where etcd is and how it lets it in.</summary>
internal sealed class EtcdArguments
{
    private readonly Option<string?> _endpoints = new("--etcd") { Description = "Keep objects in etcd instead of DIR/state.db: https://HOST:PORT, several with commas", HelpName = "ENDPOINTS" };
    private readonly Option<string> _ca = new("--etcd-ca-file") { Description = "PEM file of the authorities that sign etcd's certificates", HelpName = "FILE", DefaultValueFactory = _ => "" };
    private readonly Option<string> _certificate = new("--etcd-cert-file") { Description = "PEM file of the certificate that is shown to etcd", HelpName = "FILE", DefaultValueFactory = _ => "" };
    private readonly Option<string> _key = new("--etcd-key-file") { Description = "PEM file of its key", HelpName = "FILE", DefaultValueFactory = _ => "" };
    private readonly Option<string> _user = new("--etcd-user-file") { Description = "File with one line name:password, for an etcd that asks for it", HelpName = "FILE", DefaultValueFactory = _ => "" };
    private readonly Option<string> _prefix = new("--etcd-prefix") { Description = "Every key begins with it", HelpName = "PREFIX", DefaultValueFactory = _ => "/declarative" };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_endpoints, _ca, _certificate, _key, _user, _prefix]) command.Options.Add(option);
    }

    /// <summary>null without --etcd.</summary>
    /// <exception cref="UsageException">An option is wrong.</exception>
    public EtcdOptions? Read(ParseResult parsed)
    {
        var (certificate, key) = (parsed.GetValue(_certificate)!, parsed.GetValue(_key)!);
        if (parsed.GetValue(_endpoints) is not { } endpoints)
        {
            if (parsed.GetValue(_ca)!.Length + certificate.Length + key.Length + parsed.GetValue(_user)!.Length > 0) throw new UsageException("--etcd-…: --etcd https://HOST:PORT is needed too");
            return null;
        }
        if (certificate.Length > 0 != key.Length > 0) throw new UsageException("--etcd-cert-file and --etcd-key-file: give both or none");
        var prefix = parsed.GetValue(_prefix)!;
        if (prefix is not ['/', _, ..]) throw new UsageException($"--etcd-prefix {prefix}: expected /NAME");
        try
        {
            return new(EtcdOptions.ParseEndpoints(endpoints)) { CaFile = parsed.GetValue(_ca)!, CertificateFile = certificate, KeyFile = key, UserFile = parsed.GetValue(_user)!, Prefix = prefix };
        }
        catch (FormatException wrong)
        {
            throw new UsageException($"--etcd {wrong.Message}");
        }
    }
}
