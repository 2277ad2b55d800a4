namespace Declarative.Api;

/// <summary>Every bound of the API in one place; the unit is in the name.</summary>
public static class Limits
{
    /// <summary>One stored object as JSON. Kubernetes is bounded by etcd's 1.5 MiB request limit; ours is the same, so that objects move between the two.</summary>
    public const int ObjectBytesMax = 1_572_864;

    /// <summary>One request body (Kubernetes: 3 MiB).</summary>
    public const int RequestBodyBytesMax = 3 * 1024 * 1024;

    /// <summary>To make sense of a body or an object of more takes a while: not in a thread that has others to look after.</summary>
    public const int SmallBytesMax = 64 * 1024;

    /// <summary>A larger body is read to its end, for a clean 413, up to this size; beyond it the connection is cut.</summary>
    public const int RequestBodyBytesDrained = 4 * RequestBodyBytesMax;

    /// <summary>Nesting of a JSON or YAML document.</summary>
    public const int JsonDepthMax = 128;

    /// <summary>All annotations of one object, keys and values (Kubernetes: 256 KiB).</summary>
    public const int AnnotationBytesMax = 256 * 1024;

    /// <summary>RFC 1123 label.</summary>
    public const int LabelCharsMax = 63;

    /// <summary>RFC 1123 subdomain.</summary>
    public const int SubdomainCharsMax = 253;

    /// <summary>Events that the revision log keeps for watchers that resume; an older position is answered with 410.</summary>
    public const int WatchHistoryEventsMax = 100_000;

    /// <summary>Of the objects in those events, per kind: large objects shorten the history instead of filling the memory.</summary>
    public const long WatchHistoryBytesMax = 64 * 1024 * 1024;

    /// <summary>Items of a LIST answer where the caller asks for no limit inside the platform's own informers.</summary>
    public const int InformerPageItemsMax = 5_000;

    /// <summary>Items of one page of a LIST, whatever limit its client names; the rest comes by the token. A list without a limit is whole, as in Kubernetes.</summary>
    public const int ListPageItemsMax = 10_000;

    /// <summary>Changes of one answer about an object's history.</summary>
    public const int HistoryChangesMax = 500;

    /// <summary>Warnings of one answer; Kubernetes cuts at 4 KiB of header text.</summary>
    public const int WarningsMax = 16;

    /// <summary>An answer of at least this size is compressed for a client that asks for it (Kubernetes: 128 KiB).</summary>
    public const int GzipBytesMin = 128 * 1024;

    /// <summary>Requests that only read and are being answered at the same time; watches and log streams count until they have begun (Kubernetes: 400).</summary>
    public const int InFlightReadsMax = 400;

    /// <summary>Requests that write and are being answered at the same time (Kubernetes: 200).</summary>
    public const int InFlightWritesMax = 200;

    /// <summary>Of these one user has at most one in so many while others ask too: enough to keep two cores busy, too few to be in the others' way.</summary>
    public const int InFlightShare = 25;

    /// <summary>Requests of one user that wait for their turn; more get 429.</summary>
    public const int QueuedPerUserMax = 400;

    /// <summary>Requests of all users that wait.</summary>
    public const int QueuedRequestsMax = 10_000;

    /// <summary>Watches and log streams of all clients together.</summary>
    public const int LongRequestsMax = 10_000;

    /// <summary>And of one user.</summary>
    public const int LongRequestsPerUserMax = 5_000;

    /// <summary>Streams of one HTTP/2 connection (Kubernetes: 250 until 1.28, 100 since).</summary>
    public const int StreamsPerConnectionMax = 250;

    /// <summary>Request line and headers of one request.</summary>
    public const int RequestHeadBytesMax = 64 * 1024;

    /// <summary>Streams of one SPDY connection that wait or are open: a forwarded connection takes two.</summary>
    public const int SpdyStreamsMax = 1_000;

    /// <summary>What waits in one SPDY stream for its reader before the connection is no longer read.</summary>
    public const int SpdyStreamBytesBuffered = 256 * 1024;

    /// <summary>One SPDY control frame.</summary>
    public const int SpdyControlBytesMax = 64 * 1024;

    /// <summary>The headers of one SPDY stream, decompressed.</summary>
    public const int SpdyHeaderBytesMax = 64 * 1024;

    /// <summary>Headers of one SPDY stream; clients of Kubernetes send three.</summary>
    public const int SpdyHeadersMax = 100;

    /// <summary>One piece of input to a container.</summary>
    public const int RemoteInputBytesMax = 32 * 1024;

    /// <summary>Pieces of input that wait for a container before its client's connection is no longer read.</summary>
    public const int RemoteInputsBuffered = 16;

    /// <summary>Ports of one connection that forwards over WebSocket channels; 8 bits number two channels a port.</summary>
    public const int ForwardedPortsMax = 100;
}
