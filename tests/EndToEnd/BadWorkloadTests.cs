using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>What users get wrong: each with an error, or a condition and an event, that says what and where.</summary>
[Collection(EndToEndTests.Name)]
public sealed class BadWorkloadTests
{
    [Fact]
    public Task Manifests_that_are_refused_name_the_place() => RunningPlatform.With(async platform =>
    {
        await platform.Up();

        // A label that is no label.
        (await platform.Apply(Map("bad-label", "labels: {app: \"not a label!\"}"))).Fails("metadata.labels", "not a label!");
        // A name that is none.
        (await platform.Apply(Map("Bad_Name", "labels: {}"))).Fails("metadata.name", "Bad_Name");
        // A wrong type, an unknown field, an unknown kind.
        (await platform.Apply(Pod("wrong-type", "command: [sleep, \"1\"]", "terminationGracePeriodSeconds: soon"))).Fails("terminationGracePeriodSeconds");
        (await platform.Apply(Pod("unknown-field", "comand: [sleep, \"1\"]"))).Fails("spec.containers[0].comand");
        (await platform.Apply("{apiVersion: v1, kind: Pood, metadata: {name: x}}")).Fails("Pood");
        // Malformed YAML, by kubectl and by us.
        var file = Path.Combine(platform.Data, "malformed.yaml");
        await File.WriteAllTextAsync(file, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: b\n");
        (await platform.Kubectl("apply", "-f", file)).Fails("malformed.yaml");
        (await RunningPlatform.Run("apply", "--kubeconfig", platform.Kubeconfig, "-f", file)).Fails("malformed.yaml", "line 9");

        // 3 MB: refused as too large, and the server goes on.
        var large = Path.Combine(platform.Data, "large.json");
        await File.WriteAllTextAsync(large, $$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"large"},"data":{"k":"{{{new string('x', 3_000_000)}}}"}}""");
        (await platform.Kubectl("create", "-f", large)).Fails("RequestEntityTooLarge", "large.json", "bytes, more than");
        Assert.Equal("ok", (await platform.Kubectl("get", "--raw", "/readyz")).Succeeds().Output.Trim());
        Assert.Empty((await platform.Kubectl("get", "pods", "-o", "name")).Succeeds().Output.Trim());
    });

    [Fact]
    public Task Pods_that_can_not_run_say_why() => RunningPlatform.With(async platform =>
    {
        await platform.Up();
        // A port that an agent would offer, taken by a process of somebody else.
        using var holder = HoldTaskPort(out var held);

        (await platform.Apply(Pod("no-command", "command: [/no/such/program]"))).Succeeds();
        (await platform.Apply(Pod("with-image", "image: nginx:1.27"))).Succeeds();
        (await platform.Apply(Pod("too-big", "command: [sleep, \"1000\"]\n      resources: {requests: {cpu: \"1000\", memory: 64Mi}}"))).Succeeds();
        (await platform.Apply(Pod("port-held", $"command: [sleep, \"1000\"]\n      ports: [{{containerPort: 8080, hostPort: {held}}}]"))).Succeeds();

        // The command is not there: the container says so and the pod backs off.
        await Seen(platform, "no-command", "/no/such/program");
        await RunningPlatform.Until(async () => (await platform.Kubectl("get", "pod", "no-command")).Succeeds().Output.Contains("CrashLoopBackOff", StringComparison.Ordinal), "CrashLoopBackOff is seen");

        await Seen(platform, "with-image", "image");
        await Seen(platform, "port-held", held.ToString(CultureInfo.InvariantCulture));

        await RunningPlatform.Until(async () => Condition(await platform.Get("pod", "too-big"), "PodScheduled") is { } scheduled
            && (string?)scheduled["status"] == "False" && ((string?)scheduled["message"])?.Contains("1000", StringComparison.Ordinal) == true, "PodScheduled=False tells the numbers");
        Assert.Contains("Pending", (await platform.Kubectl("get", "pod", "too-big")).Succeeds().Output, StringComparison.Ordinal);
        if ((await RunningPlatform.Run("--help")).Output.Contains(" why", StringComparison.Ordinal))
        {
            var why = (await RunningPlatform.Run("why", "pod/too-big", "--kubeconfig", platform.Kubeconfig)).Succeeds().Output;
            Assert.Contains("1000", why, StringComparison.Ordinal);
            Assert.Contains("agent-0", why, StringComparison.Ordinal);
        }
    });

    [Fact]
    public Task A_service_whose_port_is_taken_names_the_holder() => RunningPlatform.With(async platform =>
    {
        await platform.Up("--apply", Installation.Hello);
        // Who is served at a port keeps it, also against a Service of the same second.
        await RunningPlatform.Until(async () => (await platform.Get("service", "hello"))["status"]?["loadBalancer"]?["ingress"] is not null, "hello has its port");
        using var other = new TcpListener(IPAddress.Loopback, 9010 + platform.Ports.Offset);
        other.Start();
        // By another Service, by a part of the platform, and by a process that is none of ours.
        (await platform.Apply(Service("second", 9001))).Succeeds();
        (await platform.Apply(Service("platform", 9090))).Succeeds();
        (await platform.Apply(Service("foreign", 9010))).Succeeds();
        await Refused(platform, "second", "default/hello");
        await Refused(platform, "platform", "admin");
        await Refused(platform, "foreign", (9010 + platform.Ports.Offset).ToString(CultureInfo.InvariantCulture));
        (await platform.RolledOut("hello")).Succeeds();
        await platform.Answers(platform.Hello);
    });

    private static async Task Refused(RunningPlatform platform, string service, string holder)
    {
        await RunningPlatform.Until(async () => Condition(await platform.Get("service", service), "PortAvailable") is { } available
            && (string?)available["status"] == "False" && ((string?)available["message"])?.Contains(holder, StringComparison.Ordinal) == true, $"{service}: PortAvailable=False names {holder}");
        Assert.Null((await platform.Get("service", service))["status"]!["loadBalancer"]?["ingress"]);
        await RunningPlatform.Until(async () => (await platform.Kubectl("describe", "service", service)).Succeeds().Output.Split("Events:") is [_, var events] && events.Contains(holder, StringComparison.Ordinal), $"an event of {service} names {holder}");
    }

    /// <summary>The pod's state (a condition or a container's) and one of its events both tell it.</summary>
    private static async Task Seen(RunningPlatform platform, string pod, string what)
    {
        await RunningPlatform.Until(async () => (await platform.Get("pod", pod))["status"]?.ToJsonString().Contains(what, StringComparison.OrdinalIgnoreCase) == true, $"the status of {pod} tells {what}");
        await RunningPlatform.Until(async () => (await platform.Kubectl("describe", "pod", pod)).Succeeds().Output.Split("Events:") is [_, var events] && events.Contains(what, StringComparison.OrdinalIgnoreCase), $"an event of {pod} tells {what}");
    }

    private static JsonNode? Condition(JsonNode found, string type) => found["status"]?["conditions"]?.AsArray().FirstOrDefault(x => (string?)x!["type"] == type);

    /// <summary>Listens on a port of the range that agents offer.</summary>
    private static TcpListener HoldTaskPort(out int port)
    {
        for (port = 31_999; port >= 31_000; port--)
        {
            var listener = new TcpListener(IPAddress.Loopback, port);
            try
            {
                listener.Start();
                return listener;
            }
            catch (SocketException)
            {
                listener.Dispose();
            }
        }
        throw new InvalidOperationException("no free port for tasks");
    }

    private static string Map(string name, string metadata) => $"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  {metadata}\n";

    private static string Pod(string name, string container, string spec = "restartPolicy: Always") =>
        $"apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\nspec:\n  {spec}\n  containers:\n    - name: main\n      {container}\n";

    private static string Service(string name, int port) => $"apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec:\n  type: LoadBalancer\n  selector: {{app: hello}}\n  ports: [{{port: {port}, targetPort: http}}]\n";
}
