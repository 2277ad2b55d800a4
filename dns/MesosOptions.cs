using Declarative.Mesos.Scheduler.Http;

namespace Declarative.Dns;

/// <summary>The Mesos masters whose tasks, agents and frameworks are named.</summary>
public sealed record MesosOptions
{
    /// <summary>Base addresses, for example <c>http://10.0.0.2:5050</c>; any of them may redirect to the leading one.</summary>
    public required IReadOnlyList<Uri> Masters { get; init; }

    /// <summary>How often the whole state is read where the event stream is refused, and how long to wait at most before another try.</summary>
    public TimeSpan Refresh { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long a master may take to answer.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>HTTP basic authentication; null: none.</summary>
    public MesosCredential? Credential { get; init; }

    /// <summary>PEM file of the authorities that the masters' certificates are checked against; null: those of this machine.</summary>
    public string? CaFile { get; init; }

    /// <summary>PEM file of the certificate shown to the masters; null: none.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file of its key; null: in the certificate's file.</summary>
    public string? KeyFile { get; init; }

    /// <summary>All of it as the masters' clients take it.</summary>
    internal MasterAccess Access
    {
        get
        {
            var access = new MasterAccess { CaFile = CaFile, CertificateFile = CertificateFile, KeyFile = KeyFile };
            return Credential is { } credential ? access.WithSecret(credential.Principal, credential.Secret) : access;
        }
    }
}

/// <summary>Name and password for a master. The password is in no text form of it.</summary>
public sealed class MesosCredential(string principal, string secret)
{
    /// <summary>The name.</summary>
    public string Principal => principal;

    internal string Secret => secret;

    /// <inheritdoc/>
    public override string ToString() => principal;
}
