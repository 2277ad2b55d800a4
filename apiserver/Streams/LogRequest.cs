using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Declarative.Mesos.AgentClient;

namespace Declarative.ApiServer.Streams;

/// <summary>The parameters of <c>pods/NAME/log</c> (core/v1 PodLogOptions) that the files of a Mesos task can answer.</summary>
internal sealed record LogRequest
{
    /// <summary>"" = the pod's only one.</summary>
    public string Container { get; init; } = "";
    public bool Follow { get; init; }

    /// <summary>The attempt before the present one.</summary>
    public bool Previous { get; init; }

    /// <summary>null = all lines.</summary>
    public int? TailLines { get; init; }

    /// <summary>The answer is cut there; null = no limit.</summary>
    public long? LimitBytes { get; init; }
    public LogStreams Streams { get; init; } = LogStreams.Stdout | LogStreams.Stderr;

    /// <summary>What was asked for and can not be answered.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Throws 400.</summary>
    public static LogRequest Read(RequestQuery query)
    {
        var warnings = new List<string>();
        // Mesos keeps the output as it was written, without the time of a line.
        if (query.Flag("timestamps")) warnings.Add("timestamps has no effect here: the output of a Mesos task has no time per line");
        if (query.Number("sinceSeconds") is not null) warnings.Add("sinceSeconds has no effect here: the output of a Mesos task has no time per line");
        if (query.Text("sinceTime").Length > 0) warnings.Add("sinceTime has no effect here: the output of a Mesos task has no time per line");
        return new()
        {
            Container = query.Text("container"),
            Follow = query.Flag("follow"),
            Previous = query.Flag("previous"),
            TailLines = query.Number("tailLines") is { } lines ? (int)Math.Min(lines, int.MaxValue) : null,
            LimitBytes = query.Number("limitBytes", min: 1),
            Streams = query.Text("stream") switch
            {
                "" or "All" => LogStreams.Stdout | LogStreams.Stderr,
                "Stdout" => LogStreams.Stdout,
                "Stderr" => LogStreams.Stderr,
                var other => throw Status.BadRequest($"stream: Unsupported value: \"{other}\": supported values: \"All\", \"Stdout\", \"Stderr\""),
            },
            Warnings = warnings,
        };
    }
}
