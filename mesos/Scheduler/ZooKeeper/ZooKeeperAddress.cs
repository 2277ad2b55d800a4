namespace Declarative.Mesos.Scheduler.ZooKeeper;

/// <summary><c>zk://[USER:PASSWORD@]HOST[:PORT],HOST[:PORT]…/PATH</c>, as Mesos' own flags take it.</summary>
/// <param name="Servers">Tried in the order given.</param>
/// <param name="Path">The znode under which the masters stand, for example <c>/mesos</c>.</param>
/// <param name="Credential">For scheme "digest": <c>USER:PASSWORD</c>; "" = none.</param>
public sealed record ZooKeeperAddress(IReadOnlyList<(string Host, int Port)> Servers, string Path, string Credential)
{
    private const int DefaultPort = 2181;
    private const string Expected = "expected zk://[USER:PASSWORD@]HOST1[:2181],HOST2[:2181]/PATH";

    /// <exception cref="FormatException">The text does not have this form; says what is wrong.</exception>
    public static ZooKeeperAddress Parse(string text)
    {
        if (!text.StartsWith("zk://", StringComparison.Ordinal)) throw new FormatException($"\"{text}\": {Expected}");
        var rest = text["zk://".Length..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        if (slash < 0 || slash == rest.Length - 1) throw new FormatException($"\"{Shown(text)}\": the path is missing; {Expected}");
        var (authority, path) = (rest[..slash], rest[slash..].TrimEnd('/'));
        var at = authority.LastIndexOf('@');
        var credential = at < 0 ? "" : authority[..at];
        if (at >= 0 && !credential.Contains(':', StringComparison.Ordinal)) throw new FormatException($"\"{Shown(text)}\": the password is missing; {Expected}");
        var servers = authority[(at + 1)..].Split(',').Select(x => Server(x, text)).ToList();
        return new(servers, path, credential);
    }

    /// <summary>Without the password.</summary>
    public override string ToString() => $"zk://{string.Join(',', Servers.Select(x => x.Host.Contains(':', StringComparison.Ordinal) ? $"[{x.Host}]:{x.Port}" : $"{x.Host}:{x.Port}"))}{Path}";

    private static (string Host, int Port) Server(string text, string whole)
    {
        // An IPv6 address stands in brackets.
        var colon = text.LastIndexOf(':');
        if (colon < text.LastIndexOf(']')) colon = -1;
        var host = (colon < 0 ? text : text[..colon]).Trim('[', ']');
        var port = DefaultPort;
        if (host.Length == 0 || colon >= 0 && (!int.TryParse(text.AsSpan(colon + 1), System.Globalization.NumberStyles.None, null, out port) || port is < 1 or > 65535))
        {
            throw new FormatException($"\"{Shown(whole)}\": \"{text}\" is no server; {Expected}");
        }
        return (host, port);
    }

    private static string Shown(string text) => text.LastIndexOf('@') is var at and > 0 ? "zk://…" + text[at..] : text;
}
