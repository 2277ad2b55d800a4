namespace Declarative.ApiServer.Storage.Etcd;

internal static class EtcdLimits
{
    /// <summary>Records of one transaction: etcd takes 128 operations (<c>--max-txn-ops</c>), and the commit's own is one of them.</summary>
    public const int BatchRecordsMax = 100;

    /// <summary>Their JSON together: etcd takes requests of 1.5 MiB (<c>--max-request-bytes</c>), keys and names included.</summary>
    public const long BatchBytesMax = 1024 * 1024;

    /// <summary>Objects of one answer while the state is read.</summary>
    public const int LoadPageObjectsMax = 500;

    /// <summary>One message of etcd; a page of the largest objects is below it.</summary>
    public const int MessageBytesMax = 1024 * 1024 * 1024;

    /// <summary>A write whose outcome is not known by then is answered with an error.</summary>
    public static readonly TimeSpan WriteWithin = TimeSpan.FromSeconds(10);

    /// <summary>A read of the newest revision that is not answered by then is refused.</summary>
    public static readonly TimeSpan ReadWithin = TimeSpan.FromSeconds(5);

    /// <summary>One call, before another endpoint is tried.</summary>
    public static readonly TimeSpan CallWithin = TimeSpan.FromSeconds(3);

    /// <summary>Between attempts to reach etcd again.</summary>
    public static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(200);

    /// <summary>A connection that is silent is asked for a sign of life; etcd takes no more than one such question in 5 s.</summary>
    public static readonly TimeSpan PingAfter = TimeSpan.FromSeconds(10);
}
