namespace Declarative.Dns;

/// <summary>Bounds of the DNS server; the unit is in the name.</summary>
internal static class DnsLimits
{
    /// <summary>Changes are gathered this long before a new snapshot is made: a roll-out changes many objects at once.</summary>
    public const int CoalesceMilliseconds = 2;

    /// <summary>The views of pods and slices learn this soon of a revision that brought nothing to one of them: the killing of pods waits for both.</summary>
    public const int BookmarkMilliseconds = 20;

    /// <summary>Between looks at a view that has not reached what the other has seen.</summary>
    public const int CatchUpMilliseconds = 10;

    /// <summary>Packets taken from and handed to the kernel in one call.</summary>
    public const int UdpBatchPackets = 32;

    /// <summary>The longest query read; a question with EDNS options needs a few hundred.</summary>
    public const int QueryBytesMax = 4096;

    /// <summary>Room for packets that arrive while a batch is being answered.</summary>
    public const int UdpReceiveBufferBytes = 4 * 1024 * 1024;

    /// <summary>TCP connections at once, of all clients and of one address (RFC 7766, 6.2.2 and 10).</summary>
    public const int TcpConnectionsMax = 1024;
    public const int TcpConnectionsPerClientMax = 256;

    /// <summary>A TCP connection without a query is closed after this (RFC 7766, 6.2.3: a few seconds).</summary>
    public const int TcpIdleSeconds = 10;

    /// <summary>A client that does not read its answers is dropped after this.</summary>
    public const int TcpWriteSeconds = 5;

    /// <summary>Longest wait for the server's loops to notice a stop.</summary>
    public const int StopPollMilliseconds = 200;

    /// <summary>The ports of one task that get SRV records.</summary>
    public const int TaskPortsMax = 1000;

    /// <summary>The longest <c>/state</c> of a Mesos master that is read.</summary>
    public const int StateBytesMax = 512 * 1024 * 1024;

    /// <summary>Hosts of agents, masters and schedulers whose addresses are remembered, and the wait for one lookup.</summary>
    public const int HostsKnownMax = 100_000;
    public const int HostLookupSeconds = 5;

    /// <summary>How often the age of what is known is looked at.</summary>
    public const int AgeCheckSeconds = 1;

    /// <summary>Answers of other servers that are kept, and how long at most.</summary>
    public const int CacheEntriesMax = 10_000;
    public const int CacheSecondsMax = 3600;
    public const int CacheNegativeSecondsMax = 300;

    /// <summary>Questions to other servers on their way at once; further ones are answered with SERVFAIL. Of one TCP connection: these.</summary>
    public const int ForwardsMax = 1024;
    public const int ForwardsPerConnectionMax = 64;

    /// <summary>Longest wait at a stop for what is asked for elsewhere.</summary>
    public const int StopForwardsMilliseconds = 1000;

    /// <summary>Places of the table that counts answers per network.</summary>
    public const int RateSlots = 65_536;

    /// <summary>Changes of a zone that are kept for IXFR, and the records that they may hold together.</summary>
    public const int ZoneChangesMax = 256;
    public const int ZoneChangeRecordsMax = 20_000;

    /// <summary>Tries of one NOTIFY; the wait begins at a second and doubles (RFC 1996, 3.6).</summary>
    public const int NotifyTriesMax = 5;

    /// <summary>Clients that watch changes over HTTP at once.</summary>
    public const int WatchersMax = 100;

    /// <summary>Names that one of them follows.</summary>
    public const int WatchedNamesMax = 100;
}
