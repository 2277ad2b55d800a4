using System.Text;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Declarative.Client.Http;

/// <summary>
/// How to reach an API server: one context of a kubeconfig file (Kubernetes doc "Organizing Cluster Access Using kubeconfig Files"), with the
/// files it names already read.
/// </summary>
public sealed record Kubeconfig
{
    /// <summary>For example <c>https://127.0.0.1:6443</c>.</summary>
    public required Uri Server { get; init; }

    /// <summary>PEM of the only authorities that the server's certificate may come from; "" = those of the system.</summary>
    public string AuthorityPem { get; init; } = "";
    public string ClientCertificatePem { get; init; } = "";
    public string ClientKeyPem { get; init; } = "";
    public string Token { get; init; } = "";

    /// <summary>insecure-skip-tls-verify.</summary>
    public bool SkipVerify { get; init; }

    /// <summary>The name to expect in the server's certificate; "" = the host of <see cref="Server"/>.</summary>
    public string TlsServerName { get; init; } = "";

    /// <summary>The context's namespace.</summary>
    public string Namespace { get; init; } = "default";

    /// <param name="context">null = the file's current-context.</param>
    /// <exception cref="KubeconfigException">The file cannot be read or lacks something; the message names file and field.</exception>
    public static Kubeconfig Load(string path, string? context = null)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KubeconfigException(path, e.Message);
        }
        return Read(path, text, context);
    }

    /// <param name="path">Relative file names in the text are taken from this file's folder.</param>
    public static Kubeconfig Read(string path, string text, string? context = null)
    {
        var file = new KubeconfigFile(path, Parse(path, text));
        var current = context ?? KubeconfigFile.Text(file.Root, "current-context");
        if (current.Length == 0) throw new KubeconfigException(path, "current-context: not set, and no context was asked for");
        var chosen = file.Named("contexts", "context", current);
        var cluster = file.Named("clusters", "cluster", KubeconfigFile.Text(chosen, "cluster"));
        var user = KubeconfigFile.Text(chosen, "user") is { Length: > 0 } name ? file.Named("users", "user", name) : new YamlMappingNode();
        foreach (var unsupported in (ReadOnlySpan<string>)["exec", "auth-provider", "username"])
        {
            if (user.Children.ContainsKey(unsupported)) throw new KubeconfigException(path, $"users[].user.{unsupported}: not supported, use a client certificate or a token");
        }
        var server = KubeconfigFile.Text(cluster, "server");
        if (!Uri.TryCreate(server, UriKind.Absolute, out var uri) || uri.Scheme is not ("https" or "http"))
        {
            throw new KubeconfigException(path, $"clusters[].cluster.server: \"{server}\" is not a URL such as https://127.0.0.1:6443");
        }
        var tokenFile = KubeconfigFile.Text(user, "tokenFile");
        return new()
        {
            Server = uri,
            AuthorityPem = file.Pem(cluster, "certificate-authority"),
            ClientCertificatePem = file.Pem(user, "client-certificate"),
            ClientKeyPem = file.Pem(user, "client-key"),
            Token = KubeconfigFile.Text(user, "token") is { Length: > 0 } token ? token : tokenFile.Length > 0 ? file.Content(tokenFile).Trim() : "",
            SkipVerify = KubeconfigFile.Text(cluster, "insecure-skip-tls-verify") == "true",
            TlsServerName = KubeconfigFile.Text(cluster, "tls-server-name"),
            Namespace = KubeconfigFile.Text(chosen, "namespace") is { Length: > 0 } ns ? ns : "default",
        };
    }

    private static YamlMappingNode Parse(string path, string text)
    {
        try
        {
            var stream = new YamlStream();
            stream.Load(new StringReader(text));
            if (stream.Documents is [{ RootNode: YamlMappingNode root }, ..]) return root;
        }
        catch (YamlException e)
        {
            throw new KubeconfigException(path, $"line {e.Start.Line}: {e.Message}");
        }
        catch (InvalidOperationException)
        {
            // YamlDotNet's scanner throws this on some texts, for example a flow sequence that the text ends in.
            throw new KubeconfigException(path, "not YAML");
        }
        throw new KubeconfigException(path, "expected a kubeconfig, a mapping with clusters, users and contexts");
    }

    /// <summary>Secrets do not reach a log through a record's text.</summary>
    public override string ToString() => $"{Server} (namespace {Namespace})";
}

/// <summary>A kubeconfig that cannot be used.</summary>
public sealed class KubeconfigException(string path, string why) : Exception($"{path}: {why}");

/// <summary>The parts of a kubeconfig by name, and the files that it names.</summary>
internal sealed class KubeconfigFile(string path, YamlMappingNode root)
{
    public YamlMappingNode Root => root;

    public YamlMappingNode Named(string list, string member, string name)
    {
        if (root.Children.TryGetValue(list, out var node) && node is YamlSequenceNode sequence)
        {
            foreach (var child in sequence.Children.OfType<YamlMappingNode>())
            {
                if (Text(child, "name") == name && child.Children.TryGetValue(member, out var found) && found is YamlMappingNode mapping) return mapping;
            }
        }
        throw new KubeconfigException(path, $"{list}: there is none of the name \"{name}\"");
    }

    /// <summary>NAME-data in base64, else the file NAME.</summary>
    public string Pem(YamlMappingNode node, string name)
    {
        if (Text(node, name + "-data") is { Length: > 0 } data)
        {
            try
            {
                return Encoding.UTF8.GetString(Convert.FromBase64String(data));
            }
            catch (FormatException)
            {
                throw new KubeconfigException(path, $"{name}-data: not base64");
            }
        }
        return Text(node, name) is { Length: > 0 } file ? Content(file) : "";
    }

    public string Content(string file)
    {
        var full = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, file);
        try
        {
            return File.ReadAllText(full);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new KubeconfigException(path, e.Message);
        }
    }

    public static string Text(YamlMappingNode node, string name) => node.Children.TryGetValue(name, out var value) && value is YamlScalarNode { Value: { } text } ? text : "";
}
