using System.Buffers.Text;
using System.CommandLine;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Declarative.Lb;

namespace Declarative.Cli.Commands;

/// <summary>Where the balancer orders certificates: options of <c>lb</c> and <c>up</c>.</summary>
internal sealed class AcmeOptions
{
    private readonly Option<string> _directory = new("--acme-directory") { Description = "Order certificates here (ACME) for Ingresses that ask for it; its terms are agreed to", HelpName = "URL", DefaultValueFactory = _ => "" };
    private readonly Option<string> _contact = new("--acme-contact") { Description = "Mail address for the certificate authority", HelpName = "MAIL", DefaultValueFactory = _ => "" };
    private readonly Option<string> _roots = new("--acme-ca") { Description = "Authorities in PEM that the directory's own certificate is checked against", HelpName = "FILE", DefaultValueFactory = _ => "" };

    private readonly Option<string> _keyId = new("--acme-eab-kid") { Description = "External account binding: the key's id that the authority has given", HelpName = "ID", DefaultValueFactory = _ => "" };
    private readonly Option<string> _keyFile = new("--acme-eab-key") { Description = "External account binding: the key that the authority has given, in base64url", HelpName = "FILE", DefaultValueFactory = _ => "" };

    public AcmeOptions()
    {
        _directory.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { Length: > 0 } text && (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme != Uri.UriSchemeHttps)) result.AddError($"--acme-directory {text}: expected a URL of https");
        });
        _contact.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string>() is { Length: > 0 } text && (text.Count(x => x == '@') != 1 || text.Any(char.IsWhiteSpace))) result.AddError($"--acme-contact {text}: expected a mail address");
        });
    }

    public void AddTo(Command command)
    {
        command.Options.Add(_directory);
        command.Options.Add(_contact);
        command.Options.Add(_roots);
        command.Options.Add(_keyId);
        command.Options.Add(_keyFile);
    }

    /// <exception cref="UsageException">A file cannot be read, or one of two options is missing.</exception>
    public Func<LbOptions, LbOptions> Read(ParseResult parsed)
    {
        var roots = new X509Certificate2Collection();
        if (parsed.GetValue(_roots) is { Length: > 0 } file)
        {
            try
            {
                roots.ImportFromPemFile(file);
            }
            catch (Exception e) when (e is CryptographicException or IOException or UnauthorizedAccessException)
            {
                throw new UsageException($"--acme-ca {file}: {e.Message}");
            }
            if (roots.Count == 0) throw new UsageException($"--acme-ca {file}: expected certificates in PEM");
        }
        var binding = Binding(parsed.GetValue(_keyId)!, parsed.GetValue(_keyFile)!);
        return x => x with { AcmeDirectory = parsed.GetValue(_directory)!, AcmeContact = parsed.GetValue(_contact)!, AcmeBinding = binding, AcmeRoots = roots };
    }

    private static AcmeBinding? Binding(string keyId, string file)
    {
        if (keyId.Length == 0 && file.Length == 0) return null;
        if (keyId.Length == 0 || file.Length == 0) throw new UsageException("--acme-eab-kid and --acme-eab-key belong together");
        try
        {
            var key = Base64Url.DecodeFromChars(File.ReadAllText(file).Trim());
            return key.Length > 0 ? new(keyId, key) : throw new UsageException($"--acme-eab-key {file}: expected a key in base64url, found nothing");
        }
        catch (Exception e) when (e is FormatException or IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"--acme-eab-key {file}: {(e is FormatException ? "expected a key in base64url" : e.Message)}");
        }
    }
}
