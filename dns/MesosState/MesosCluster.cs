using System.Net;

namespace Declarative.Dns.MesosState;

/// <summary>The state of a Mesos cluster at one moment, as far as DNS names it.</summary>
internal sealed record MesosCluster(
    IReadOnlyList<MesosFramework> Frameworks, IReadOnlyList<MesosAgent> Agents, IReadOnlyList<MesosTask> Tasks, MesosEndpoint? Leader)
{
    /// <summary>Whether the master that told this is the leading one.</summary>
    public bool IsLeader { get; init; } = true;

    /// <summary>Agents that a master which has just begun to lead expects back: what is known of them and their tasks stands until then.</summary>
    public IReadOnlySet<string> Returning { get; init; } = new HashSet<string>(StringComparer.Ordinal);
}

/// <param name="Host">Where its scheduler runs: an address, or a name to be looked up.</param>
/// <param name="Port">Of a scheduler that speaks libprocess; 0 for one that speaks HTTP.</param>
internal sealed record MesosFramework(string Id, string Name, string Host, int Port);

/// <param name="Host">An address, or a name to be looked up.</param>
internal sealed record MesosAgent(string Id, string Host, int Port);

/// <summary>Host and port of a libprocess id, <c>name@host:port</c>.</summary>
internal readonly record struct MesosEndpoint(string Host, int Port)
{
    /// <summary>Reads <c>host:port</c> with or without <c>name@</c> before it; null where either is missing.</summary>
    public static MesosEndpoint? Read(string? text)
    {
        if (text is null)
            return null;
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var rest = text[(at + 1)..];
        var colon = rest.LastIndexOf(':');
        return at != 0 && colon > 0 && ushort.TryParse(rest.AsSpan(colon + 1), out var port) ? new MesosEndpoint(rest[..colon].Trim('[', ']'), port) : null;
    }
}

/// <summary>What names of hosts were found to lead to.</summary>
internal delegate IReadOnlyList<IPAddress> HostAddresses(string host);
