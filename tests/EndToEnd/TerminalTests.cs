using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Pods that are talked to, from manifest to terminal.</summary>
[Collection(EndToEndTests.Name)]
public sealed class TerminalTests
{
    [Fact]
    public Task A_pod_with_a_terminal_and_one_that_reads_a_pipe_take_what_is_typed() => RunningPlatform.With(async platform =>
    {
        await platform.Up();
        (await platform.Apply("""
            apiVersion: v1
            kind: Pod
            metadata: {name: has-terminal}
            spec:
              restartPolicy: Never
              containers:
              - {name: asks, tty: true, stdin: true, command: ["/bin/sh", "-c", "tty; read word; echo got-$word"]}
            ---
            apiVersion: v1
            kind: Pod
            metadata: {name: has-pipe}
            spec:
              restartPolicy: Never
              containers:
              - {name: eats, stdin: true, stdinOnce: true, command: ["/bin/sh", "-c", "tty; cat; exit 4"]}
            """)).Succeeds();
        foreach (var pod in (string[])["has-terminal", "has-pipe"])
            (await platform.Kubectl("wait", "--for=condition=Ready", "--timeout=30s", "pod/" + pod)).Succeeds();
        Assert.StartsWith("/dev/pts/", (await platform.Kubectl("logs", "has-terminal")).Succeeds().Output, StringComparison.Ordinal);

        // No terminal at this end: kubectl says so and types all the same.
        await platform.Kubectl("hello\n", ["attach", "-i", "has-terminal"]);
        await RunningPlatform.Until(async () => (await platform.Kubectl("logs", "has-terminal")).Output.Contains("got-hello", StringComparison.Ordinal), "the word is answered");
        var fed = await platform.Kubectl("one\ntwo\n", ["attach", "-i", "has-pipe"]);
        Assert.Contains("one\ntwo\n", fed.Output, StringComparison.Ordinal);
        await RunningPlatform.Until(async () => (string?)(await platform.Get("pod", "has-pipe"))["status"]!["phase"] == "Failed", "the pod has ended with its input");
        Assert.Equal("not a tty\none\ntwo\n", (await platform.Kubectl("logs", "has-pipe")).Succeeds().Output);
        Assert.Equal(4, (int)(await platform.Get("pod", "has-pipe"))["status"]!["containerStatuses"]![0]!["state"]!["terminated"]!["exitCode"]!);
    });
}
