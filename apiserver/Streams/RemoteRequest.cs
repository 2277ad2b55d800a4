using Declarative.Api.Objects;
using Declarative.ApiServer.Http;

namespace Declarative.ApiServer.Streams;

/// <summary>The parameters of <c>pods/NAME/exec</c> and <c>pods/NAME/attach</c> (core/v1 PodExecOptions, PodAttachOptions).</summary>
/// <param name="Container">"" = the pod's only one.</param>
/// <param name="Command">The argv; empty for attach.</param>
internal sealed record RemoteRequest(string Container, IReadOnlyList<string> Command, bool Stdin, bool Stdout, bool Stderr, bool Tty)
{
    /// <summary>The streams that a SPDY client opens. Terminal sizes came with version 3 of the protocol.</summary>
    public IReadOnlySet<string> SpdyStreams(bool resize)
    {
        var streams = new HashSet<string> { "error" };
        if (Stdin) streams.Add("stdin");
        if (Stdout) streams.Add("stdout");
        if (Stderr) streams.Add("stderr");
        if (Tty && resize) streams.Add("resize");
        return streams;
    }

    /// <summary>Throws 400.</summary>
    public static RemoteRequest Read(RequestQuery query, bool isExec)
    {
        var request = new RemoteRequest(query.Text("container"), [.. query.All("command")], query.Flag("stdin"), query.Flag("stdout"), query.Flag("stderr"), query.Flag("tty"));
        if (isExec && request.Command.Count == 0) throw Status.BadRequest("you must specify at least one command for the container");
        if (request is { Stdin: false, Stdout: false, Stderr: false }) throw Status.BadRequest("you must specify at least one of stdin, stdout, stderr");
        if (request is { Tty: true, Stderr: true }) throw Status.BadRequest("tty and stderr cannot both be true: a terminal has one output");
        return request;
    }
}
