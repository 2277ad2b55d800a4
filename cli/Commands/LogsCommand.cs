using System.CommandLine;
using Declarative.Api.Kinds;
using Declarative.Cli.Verbs;
using Declarative.Client.Http;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative logs</c>: what a pod's process has written, from the agent's files through the API server.</summary>
internal static class LogsCommand
{
    private const string DefaultContainer = "kubectl.kubernetes.io/default-container";

    public static Command Make(Machine machine)
    {
        var what = Verb.What("POD, or KIND/NAME of what selects pods");
        var container = new Option<string?>("--container", "-c") { Description = "Of a pod of several", HelpName = "NAME" };
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on until the container ends" };
        var previous = new Option<bool>("--previous", "-p") { Description = "Of the run before the last restart" };
        var tail = new Option<long>("--tail") { Description = "Only the last N lines", HelpName = "N", DefaultValueFactory = _ => -1 };
        var timestamps = new Option<bool>("--timestamps") { Description = "With the time of each line" };
        return new Command("logs", "Print what a pod has written.") { what, container, follow, previous, tail, timestamps }.With(machine, async (session, parsed, stop) =>
        {
            var words = parsed.GetValue(what)!;
            var named = words.Length == 2 && !words[0].Contains('/', StringComparison.Ordinal) && parsed.GetValue(container) is null;
            var targets = Target.ParseNamed(named ? words[..1] : words, Kind.Pod); // logs POD CONTAINER
            if (targets.Count != 1) throw new UsageException("logs of one pod at a time");
            var pod = await PodOf(session, targets[0].Kind, targets[0].Name, stop);
            var url = RequestUrl.Object(session.Key(Kind.Pod, pod.Name), "log")
                .With("container", named ? words[1] : await ContainerOf(session, pod, parsed.GetValue(container)))
                .With("follow", parsed.GetValue(follow))
                .With("previous", parsed.GetValue(previous))
                .With("timestamps", parsed.GetValue(timestamps))
                .With("tailLines", parsed.GetValue(tail) >= 0 ? parsed.GetValue(tail) : null);
            await using var stream = await session.Api.Open(url, "*/*", stop);
            using var reader = new StreamReader(stream);
            var buffer = new char[16 * 1024];
            while (await reader.ReadAsync(buffer, stop) is var count and > 0)
            {
                await session.Out.WriteAsync(buffer.AsMemory(0, count), stop);
                await session.Out.FlushAsync(stop);
            }
            return 0;
        });
    }

    private static async Task<Pod> PodOf(Session session, Kind kind, string name, CancellationToken stop)
    {
        if (kind == Kind.Pod) return Pod.Read((await session.Api.Get(session.Key(kind, name), stop: stop)).Json);
        var pods = await PodsOf.Select(session, kind, name, stop);
        if (pods.Count == 0) throw new UsageException($"{KindNames.Of(kind, name)} has no pods");
        if (pods.Count > 1) await session.Errors.WriteLineAsync($"Found {pods.Count} pods, using pod/{pods[0].Name}");
        return pods[0];
    }

    private static async Task<string> ContainerOf(Session session, Pod pod, string? asked)
    {
        var names = pod.Spec.Containers.Select(x => x.Name).ToList();
        if (asked is not null) return names.Contains(asked) || pod.Spec.InitContainers.Any(x => x.Name == asked) ? asked : throw new UsageException($"container {asked} is not valid for pod {pod.Name}; it has: {string.Join(", ", names)}");
        if (names.Count <= 1) return names.FirstOrDefault() ?? "";
        var chosen = pod.Metadata.Annotations.TryGetValue(DefaultContainer, out var annotated) && names.Contains(annotated) ? annotated : names[0];
        await session.Errors.WriteLineAsync($"Defaulted container \"{chosen}\" out of: {string.Join(", ", names)}");
        return chosen;
    }
}
