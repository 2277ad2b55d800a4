using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Text.Json.Nodes;
using Declarative.Cli;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>One data directory with a port offset of its own, the processes that a test starts on it and the clients that talk to them.</summary>
internal sealed class RunningPlatform : IDisposable
{
    private const int HelloPort = 9001;
    private readonly List<ChildProcess> _children = [];
    private readonly string _home = Directory.CreateTempSubdirectory("declarative-home-").FullName;

    private RunningPlatform(string data) => Data = data;

    public string Data { get; }

    public Ports Ports { get; } = FreePorts();

    public string Kubeconfig => Path.Combine(Data, "kubeconfig");

    public Uri Hello => At(HelloPort);

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromSeconds(60) };

    public string Offset => Ports.Offset.ToString(CultureInfo.InvariantCulture);

    public IReadOnlyList<TaskProcess> WebServers => TaskProcess.WebServers(Data);

    /// <summary>Where a Service's port is reachable.</summary>
    public Uri At(int servicePort) => new($"http://127.0.0.1:{servicePort + Ports.Offset}/");

    /// <summary>Runs the test; whatever becomes of it, ends all that was started and removes the directory. A failure tells what the processes said.</summary>
    public static async Task With(Func<RunningPlatform, Task> test)
    {
        Installation.Require();
        var data = Directory.CreateTempSubdirectory("declarative-e2e-").FullName;
        try
        {
            await On(data, test);
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    /// <summary>The same on a directory that the caller made and removes.</summary>
    public static async Task On(string data, Func<RunningPlatform, Task> test)
    {
        using var platform = new RunningPlatform(data);
        try
        {
            await test(platform);
        }
        catch (Exception e)
        {
            var said = string.Concat(platform._children.Select(x => $"\n--- process {x.Id} said\n{x.Output}{x.Errors}"));
            await platform.EndAll();
            throw new InvalidOperationException(e.Message + said, e);
        }
        var (down, left) = await platform.EndAll();
        down?.Succeeds();
        Assert.Empty(left);
    }

    /// <summary><c>declarative up</c> on this directory; returns when it says that it is ready.</summary>
    public async Task<ChildProcess> Up(params string[] arguments)
    {
        var up = Start(["up", "--data", Data, "--port-offset", Offset, .. arguments]);
        await Until(() => up.Output.Contains("\nStop with ", StringComparison.Ordinal) || up.HasExited, "up is ready, and has said so to the end");
        Assert.False(up.HasExited, $"up has ended\n{up.Output}\n{up.Errors}");
        return up;
    }

    /// <summary>A role or a verb that runs on; it is ended with the platform.</summary>
    public ChildProcess Start(IEnumerable<string> arguments)
    {
        var child = ChildProcess.Start(Installation.Executable, arguments);
        _children.Add(child);
        return child;
    }

    /// <summary>A command of the executable, to its end.</summary>
    public static Task<Said> Run(params string[] arguments) => ChildProcess.Run(Installation.Executable, arguments);

    public Task<Said> Down() => Run("down", "--data", Data);

    public Task<Said> Kubectl(params string[] arguments) => Kubectl(null, arguments);

    public Task<Said> Kubectl(string? input, string[] arguments) =>
        ChildProcess.Run(Kubectls.All[^1], arguments, new Dictionary<string, string> { ["KUBECONFIG"] = Kubeconfig, ["HOME"] = _home }, input);

    public Task<Said> Apply(string manifest) => Kubectl(manifest, ["apply", "-f", "-"]);

    /// <summary>What kubectl gets as JSON; an object without "items" where there is nothing of that name.</summary>
    public async Task<JsonNode> Get(params string[] arguments)
    {
        var said = (await Kubectl(["get", .. arguments, "-o", "json", "--ignore-not-found"])).Succeeds();
        return said.Output.Length == 0 ? new JsonObject() : JsonNode.Parse(said.Output)!;
    }

    public async Task<IReadOnlyList<JsonNode>> Pods(string selector) => [.. (await Get("pods", "-l", selector))["items"]?.AsArray().Select(x => x!) ?? []];

    public Task<Said> RolledOut(string name) => Kubectl("rollout", "status", "deployment/" + name, "--timeout=110s");

    /// <summary>null where nothing answers.</summary>
    public async Task<HttpStatusCode?> Status(Uri url)
    {
        try
        {
            using var response = await Http.GetAsync(url);
            return response.StatusCode;
        }
        catch (HttpRequestException)
        {
            return null;
        }
    }

    public Task Answers(Uri url) => Until(async () => await Status(url) == HttpStatusCode.OK, $"{url} answers 200");

    public static Task Until(Func<bool> condition, string what) => Until(() => Task.FromResult(condition()), what);

    /// <summary>Asks until it is so; fails after a time that only a hang reaches.</summary>
    public static async Task Until(Func<Task<bool>> condition, string what)
    {
        var end = DateTime.UtcNow.AddSeconds(60);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < end, $"not within 60 s: {what}");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }

    public void Dispose()
    {
        Http.Dispose();
        Directory.Delete(_home, recursive: true);
    }

    /// <summary>down first, as a user ends it; what is left after that is told, and ended by its id.</summary>
    private async Task<(Said? Down, IReadOnlyList<TaskProcess> Left)> EndAll()
    {
        var down = Directory.Exists(Path.Combine(Data, "mesos")) ? await Down() : null;
        foreach (var child in _children) child.Dispose();
        var left = TaskProcess.Under(Data);
        foreach (var process in left) TaskProcess.Signal(process.Id, 9);
        return (down, left);
    }

    /// <summary>An offset at which nothing listens, below the ports of tasks and nodes.</summary>
    private static Ports FreePorts()
    {
        var taken = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Select(x => x.Port).ToHashSet();
        for (var attempt = 0; attempt < 1000; attempt++)
        {
            var ports = new Ports(Random.Shared.Next(10_000, 20_000));
            if (ports.Taken(agents: 2) is null && !Enumerable.Range(HelloPort + ports.Offset, 20).Any(taken.Contains)) return ports;
        }
        throw new InvalidOperationException("no free port offset");
    }
}
