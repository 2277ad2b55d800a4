namespace Declarative.Mesos.Scheduler.Http;

/// <summary>Where the masters are and how to speak to them.</summary>
public sealed record HttpMasterOptions
{
    /// <summary>Says where the leading master is. Belongs to whoever made it.</summary>
    public required MasterDetector Masters { get; init; }

    /// <summary>Credentials and certificates.</summary>
    public MasterAccess Access { get; init; } = new();

    /// <summary>Calls of at least so many bytes are sent gzipped.</summary>
    public int GzipBytesMin { get; init; } = 32 * 1024;

    /// <summary>JSON instead of protobuf, to watch the conversation.</summary>
    public bool Json { get; init; }

    /// <summary>How many heartbeats may be missing before the stream counts as lost.</summary>
    public int MissedHeartbeatsMax { get; init; } = 3;

    /// <summary>How long one call may take, and a subscription until its first answer.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
