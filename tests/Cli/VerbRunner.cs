using System.CommandLine;
using System.Text.Json.Nodes;
using Declarative.Api.Wire;
using Declarative.Cli;
using Declarative.Cli.Commands;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>Our verbs against a server, with its kubeconfig, in one namespace; and kubectl against the same server.</summary>
internal sealed class VerbRunner(RunningFace server, string ns)
{
    public string Namespace => ns;

    public async Task<KubectlResult> Run(params string[] arguments)
    {
        var root = new RootCommand();
        foreach (var command in CommandTable.For(arguments, new Machine(TimeProvider.System, new Random(1), Task.Run))) root.Add(command);
        var (output, errors) = (new StringWriter(), new StringWriter());
        var code = await root.Parse([.. arguments, "--kubeconfig", server.Face.KubeconfigPath, "-n", ns])
            .InvokeAsync(new InvocationConfiguration { Output = output, Error = errors }, TestContext.Current.CancellationToken);
        return new(code, output.ToString(), errors.ToString());
    }

    /// <summary>A command that speaks to no server.</summary>
    public async Task<KubectlResult> Alone(params string[] arguments)
    {
        var said = await EndToEnd.ChildProcess.Run(EndToEnd.Installation.Executable, arguments);
        return new(said.Code, said.Output, said.Errors);
    }

    public Declarative.Api.ResourceKey Key(string plural, string name) => Declarative.Api.ResourceKey.Of(Declarative.Cli.Verbs.KindNames.Find(plural), ns, name);

    /// <summary>A manifest in a file of its own.</summary>
    public string File(string text, string name = "manifest.yaml")
    {
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(server.Directory, ns)).FullName, name);
        System.IO.File.WriteAllText(path, text);
        return path;
    }

    public Kubectl Kubectl(string binary) => new(binary, server.Face.KubeconfigPath, server.Directory);

    /// <summary>An object without what differs between any two objects; its namespace is written NS wherever it stands.</summary>
    public async Task<string> Object(string plural, string name)
    {
        var kind = Declarative.Cli.Verbs.KindNames.Find(plural);
        var stored = await server.Admin.Get(Declarative.Api.ResourceKey.Of(kind, ns, name), stop: TestContext.Current.CancellationToken);
        var json = JsonNode.Parse(System.Text.Encoding.UTF8.GetString(stored.Json.Span).Replace($"\"namespace\":\"{ns}\"", "\"namespace\":\"NS\"", StringComparison.Ordinal).Replace($"\\\"namespace\\\":\\\"{ns}\\\"", "\\\"namespace\\\":\\\"NS\\\"", StringComparison.Ordinal))!.AsObject();
        var metadata = json["metadata"]!.AsObject();
        foreach (var own in (string[])["uid", "creationTimestamp", "resourceVersion", "managedFields"]) metadata.Remove(own);
        if (json["spec"] is JsonObject spec)
        {
            foreach (var allocated in (string[])["clusterIP", "clusterIPs"]) spec.Remove(allocated);
            if (spec["template"]?["metadata"]?["annotations"] is JsonObject annotations && annotations.ContainsKey("kubectl.kubernetes.io/restartedAt")) annotations["kubectl.kubernetes.io/restartedAt"] = "T";
        }
        return GoJson.Write(json, indent: 1);
    }
}
