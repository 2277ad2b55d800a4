namespace Declarative.Mesos.Scheduler.Http;

/// <summary>Where the masters are and how to speak to them.</summary>
public sealed record HttpMasterOptions
{
    /// <summary>Base addresses, for example <c>http://127.0.0.1:5050</c>. Any of them may redirect to the leading one.</summary>
    public required IReadOnlyList<Uri> Masters { get; init; }

    /// <summary>JSON instead of protobuf, to watch the conversation.</summary>
    public bool Json { get; init; }

    /// <summary>How many heartbeats may be missing before the stream counts as lost.</summary>
    public int MissedHeartbeatsMax { get; init; } = 3;

    /// <summary>How long one call may take, and a subscription until its first answer.</summary>
    public TimeSpan CallTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
