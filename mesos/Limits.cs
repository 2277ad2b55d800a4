namespace Declarative.Mesos;

/// <summary>Every limit of this project, with its unit in the name and its reason beside it.</summary>
public static class Limits
{
    /// <summary>One record of an event stream. A SUBSCRIBED snapshot of 50,000 tasks is near 100 MB in JSON.</summary>
    public const int RecordBytesMax = 256 * 1024 * 1024;

    /// <summary>The decimal length in front of a record: a 64-bit number has at most 20 digits.</summary>
    public const int RecordHeaderBytesMax = 20;

    /// <summary>One call. A real master has no limit here; an ACCEPT of 1,000 tasks is near 2 MB.</summary>
    public const int CallBytesMax = 64 * 1024 * 1024;

    /// <summary>Nesting of a JSON call. The deepest message of the v1 API nests 12 levels.</summary>
    public const int JsonDepthMax = 64;

    /// <summary>Events that wait for one subscriber. 50,000 tasks make 100,000 updates at once when a framework resubscribes.</summary>
    public const int EventsQueuedMax = 1_000_000;

    /// <summary>A refusal lasts at most this long, as in Mesos.</summary>
    public const int RefuseSecondsMax = 365 * 24 * 3600;

    /// <summary>Nested containers that have ended and whose exit an agent still tells.</summary>
    public const int NestedContainersEndedMax = 1_000;

    /// <summary>A token of an executor: three ids of at most a few hundred characters, in base64.</summary>
    public const int ExecutorTokenCharsMax = 4 * 1024;

    /// <summary>One message of ZooKeeper; its servers refuse znodes over 1 MiB.</summary>
    public const int ZooKeeperMessageBytesMax = 4 * 1024 * 1024;

    /// <summary>One record of a container's output; agents send what one read of a pipe gives, at most 64 KiB.</summary>
    public const int ProcessIoBytesMax = 1024 * 1024;
}
