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
}
