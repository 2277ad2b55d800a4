using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.Architecture;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>
/// One long session of unmodified kubectl (tests/Golden/kubectl/session.txt) with the commands that were once recorded against Kubernetes and
/// need no running container: exit code and output of each. The controllers run, and a stand-in for what runs pods.
/// </summary>
public sealed class KubectlSessionTests
{
    private static readonly TimeSpan WatchLongest = TimeSpan.FromSeconds(30);

    private static string Folder => Path.Combine(Repository.Root, "tests", "Golden", "kubectl");

    [Theory]
    [MemberData(nameof(Kubectls.Rows), MemberType = typeof(Kubectls))]
    public async Task Every_command_says_what_it_says_to_Kubernetes(string name)
    {
        var path = Kubectls.Require(name);
        await using var face = await RunningFace.Start();
        await using var workloads = new Workloads(face.Admin);
        foreach (var node in (string[])["agent-0", "fake-0001", "fake-0002"])
        {
            await face.Admin.Create(ResourceKey.Of(Kind.Node, "", node), Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"{{node}}"} }"""), stop: TestContext.Current.CancellationToken);
        }
        var version = Regex.Match(name, @"1\.(\d+)") is { Success: true } found ? int.Parse(found.Groups[1].ValueSpan, CultureInfo.InvariantCulture) : int.MaxValue;
        var kubectl = new Kubectl(path, face.Face.KubeconfigPath, face.Directory) { Folder = Folder, Editor = "sed -i 's/part: demo/part: edited/'" };
        var wrong = new List<string>();
        foreach (var step in Step.Read(await File.ReadAllLinesAsync(Path.Combine(Folder, "session.txt"), TestContext.Current.CancellationToken)))
        {
            if (step.From > version) continue;
            var arguments = step.Arguments;
            if (arguments.Contains("{pod}"))
            {
                var pod = (await kubectl.Run("-n", "trace", "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")).Output;
                arguments = [.. arguments.Select(x => x == "{pod}" ? pod : x)];
            }
            var (code, said) = step.Watches ? (0, await Watch(kubectl, arguments, step)) : await Run(kubectl, arguments);
            if ((code == 0) == step.Fails || !step.Fits(said)) wrong.Add($"$ {string.Join(' ', arguments)}\nexit code {code}\n{said}\nexpected\n{string.Join('\n', step.Lines)}\n");
        }
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    private static async Task<(int Code, string Said)> Run(Kubectl kubectl, string[] arguments)
    {
        var result = await kubectl.Run(arguments);
        return (result.Code, result.Errors + result.Output);
    }

    /// <summary>Ends the command as soon as it has said what is expected, or after a while.</summary>
    private static async Task<string> Watch(Kubectl kubectl, string[] arguments, Step step)
    {
        using var process = kubectl.Start(arguments);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(WatchLongest);
        var said = new StringBuilder();
        try
        {
            while (!step.Fits(said.ToString()) && await process.StandardOutput.ReadLineAsync(limit.Token) is { } line) said.AppendLine(line);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            said.AppendLine("(nothing more came)");
        }
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return said.ToString();
    }

    /// <summary>One command of the session and the lines that it is to print.</summary>
    private sealed record Step(string[] Arguments, bool Fails, bool Watches, int From, IReadOnlyList<string> Lines)
    {
        public static IEnumerable<Step> Read(IEnumerable<string> text)
        {
            Step? step = null;
            var lines = new List<string>();
            foreach (var line in text)
            {
                if (line.Length == 0 || (line.StartsWith("# ", StringComparison.Ordinal) && !line.StartsWith("# Deployment", StringComparison.Ordinal))) continue;
                if (line[0] != '$')
                {
                    lines.Add(line);
                    continue;
                }
                if (step is not null) yield return step with { Lines = lines };
                var command = Regex.Match(line, @"^\$([!~]?) (?:\[1\.(\d+)\] )?(.*)$");
                var words = Regex.Matches(command.Groups[3].Value, @"'([^']*)'|(\S+)").Select(x => x.Value.Trim('\''));
                step = new([.. words], command.Groups[1].Value == "!", command.Groups[1].Value == "~", command.Groups[2].Success ? int.Parse(command.Groups[2].ValueSpan, CultureInfo.InvariantCulture) : 0, []);
                lines = [];
            }
            if (step is not null) yield return step with { Lines = lines };
        }

        public bool Fits(string said)
        {
            var lines = said.Split('\n').Select(x => Regex.Replace(x, @"\s+", " ").Trim()).Where(x => x.Length > 0).Select(x => x + "\n");
            var pattern = new StringBuilder("^");
            foreach (var line in Lines) pattern.Append(line == "..." ? "(?:.*\n)*?" : Regex.Escape(line).Replace(@"\*", ".*", StringComparison.Ordinal) + "\n");
            return Regex.IsMatch(string.Concat(lines), pattern.Append('$').ToString());
        }
    }
}
