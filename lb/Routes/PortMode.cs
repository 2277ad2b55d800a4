using Declarative.Api.Kinds;

namespace Declarative.Lb.Routes;

/// <summary>What is spoken on a Service's port.</summary>
public enum PortMode
{
    /// <summary>Not declared: the first bytes of each connection decide between HTTP and TCP.</summary>
    Sniff,
    Http,

    /// <summary>HTTP/2 without TLS to the endpoints (gRPC).</summary>
    H2c,
    Tcp,
    Udp,
}

internal static class PortModes
{
    /// <summary>
    /// appProtocol decides (Kubernetes doc "Service": IANA names and kubernetes.io/h2c, ws, wss); without one the part of the port's name before
    /// the first dash, as service meshes read it. A name that is not known is left to the first bytes.
    /// </summary>
    public static PortMode Of(ServicePort port)
    {
        if (port.Protocol == "UDP") return PortMode.Udp;
        if (port.AppProtocol.Length > 0) return OfWord(port.AppProtocol);
        var dash = port.Name.IndexOf('-', StringComparison.Ordinal);
        return OfWord(dash < 0 ? port.Name : port.Name[..dash]);
    }

    private static PortMode OfWord(string word) => word.ToLowerInvariant() switch
    {
        "http" or "ws" or "kubernetes.io/ws" => PortMode.Http,
        "http2" or "h2c" or "grpc" or "kubernetes.io/h2c" => PortMode.H2c,
        // Encrypted from end to end: passed through. The others are protocols whose first bytes never look like HTTP, or whose server speaks first.
        "https" or "tls" or "ssl" or "wss" or "kubernetes.io/wss" or "grpcs"
            or "tcp" or "redis" or "mysql" or "postgres" or "postgresql" or "mongo" or "mongodb" or "amqp" or "kafka" or "mqtt" or "nats"
            or "memcache" or "memcached" or "ldap" or "smtp" or "imap" or "pop3" or "ftp" or "ssh" or "cassandra" or "zookeeper" or "etcd" => PortMode.Tcp,
        _ => PortMode.Sniff,
    };
}
