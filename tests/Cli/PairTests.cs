using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>The same steps by kubectl in one namespace and by our verbs in another leave the same objects.</summary>
public sealed class PairTests(VerbWorld world) : IClassFixture<VerbWorld>
{
    private const string First = """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
          labels: {app: web, part: demo}
          annotations: {note: "a < b & c"}
        spec:
          replicas: 3
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              volumes:
              - {name: scratch, emptyDir: {}}
              - {name: settings, configMap: {name: web}}
              containers:
              - name: web
                command: [serve]
                ports: [{containerPort: 80, name: http}, {containerPort: 443, name: https}]
                env: [{name: A, value: "1"}, {name: B, value: "2"}]
                volumeMounts: [{name: scratch, mountPath: /tmp}]
              - name: helper
                command: [help]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, finalizers: [example.com/a, example.com/b]}
        spec:
          selector: {app: web}
          ports: [{name: http, port: 80, targetPort: http}, {name: https, port: 443}]
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: web}
        data: {greeting: "hello\nworld\n", number: "1"}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: web}
        data: {key: c2VjcmV0}
        """;

    private const string Second = """
        apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
          labels: {app: web}
        spec:
          strategy: {type: Recreate}
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web, more: "true"}}
            spec:
              volumes:
              - {name: settings, secret: {secretName: web}}
              containers:
              - name: sidecar
                command: [side]
              - name: web
                command: [serve, --fast]
                ports: [{containerPort: 443, name: https}, {containerPort: 8080, name: http}]
                env: [{name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, {name: C, value: "3"}]
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: web, finalizers: [example.com/b, example.com/c]}
        spec:
          selector: {app: web, track: stable}
          ports: [{name: https, port: 443, targetPort: 8443}]
        ---
        apiVersion: v1
        kind: ConfigMap
        metadata: {name: web}
        data: {greeting: bonjour}
        ---
        apiVersion: v1
        kind: Secret
        metadata: {name: web}
        data: {key: bmV3, other: b2s=}
        """;

    private static readonly string[] Objects = ["deployments/web", "services/web", "configmaps/web", "secrets/web"];

    [Theory]
    [MemberData(nameof(Kubectls.Rows), MemberType = typeof(Kubectls))]
    public async Task The_same_steps_leave_the_same_objects(string binary)
    {
        var (theirs, ours) = (await world.InNamespace("kubectl"), await world.InNamespace("ours"));
        var kubectl = theirs.Kubectl(Kubectls.Require(binary));
        var (first, second) = (ours.File(First, "first.yaml"), ours.File(Second, "second.yaml"));
        string[][] steps =
        [
            ["apply", "-f", first],
            ["apply", "-f", first],
            ["apply", "-f", second],
            ["scale", "deployment/web", "--replicas=5"],
            ["apply", "-f", second],
            ["rollout", "restart", "deployment/web"],
            ["rollout", "pause", "deploy", "web"],
            ["rollout", "pause", "deploy", "web"],
            ["rollout", "resume", "deploy/web"],
            ["apply", "-f", first],
            ["get", "deploy,cm", "-o", "name"],
            ["delete", "configmap", "web", "nope"],
            ["delete", "deploy/web"],
            ["get", "all", "-l", "app=nothing"],
        ];
        foreach (var step in steps)
        {
            var expected = await kubectl.Run([.. step, "-n", theirs.Namespace]);
            var actual = await ours.Run(step);
            var name = string.Join(' ', step);
            // Newer kubectl adds where: «"web" deleted from default namespace».
            Assert.Equal(expected.Output.Replace($" from {theirs.Namespace} namespace", "", StringComparison.Ordinal), actual.Output);
            Assert.True(expected.Code == actual.Code, $"{name}: {expected.Code} {expected.Errors} and {actual.Code} {actual.Errors}");
            await AssertSame(name, theirs, ours);
        }
    }

    [Theory]
    [MemberData(nameof(Kubectls.Rows), MemberType = typeof(Kubectls))]
    public async Task Each_goes_on_where_the_other_has_left(string binary)
    {
        var verbs = await world.InNamespace("both");
        var kubectl = verbs.Kubectl(Kubectls.Require(binary));
        var (first, second) = (verbs.File(First, "first.yaml"), verbs.File(Second, "second.yaml"));
        (await verbs.Run("apply", "-f", first)).Succeeds();
        Unchanged((await kubectl.Run("apply", "-f", first, "-n", verbs.Namespace)).Succeeds());
        (await kubectl.Run("apply", "-f", second, "-n", verbs.Namespace)).Succeeds();
        Unchanged((await verbs.Run("apply", "-f", second)).Succeeds());
        Assert.Equal("", (await verbs.Run("diff", "-f", second)).Succeeds().Output);
        (await verbs.Run("apply", "-f", first)).Succeeds();
        (await kubectl.Run("diff", "-f", first, "-n", verbs.Namespace)).Succeeds();

        static void Unchanged(KubectlResult result) => Assert.All(result.Lines, x => Assert.EndsWith(" unchanged", x, StringComparison.Ordinal));
    }

    /// <summary>Forty objects, each applied twice with random content and changed in between by somebody else.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Random_changes_leave_the_same_objects(int seed)
    {
        const int count = 40;
        Assert.SkipWhen(Kubectls.All.Count == 0, Kubectls.NoneFound);
        var random = new Random(seed);
        var (theirs, ours) = (await world.InNamespace("kubectl"), await world.InNamespace("ours"));
        var kubectl = theirs.Kubectl(Kubectls.All[^1]);
        var texts = Enumerable.Range(0, 3).Select(_ => string.Join("\n---\n", Enumerable.Range(0, count).Select(i => RandomDeployment($"d{i}", random)))).ToList();
        for (var round = 0; round < texts.Count; round++)
        {
            var file = ours.File(texts[round]);
            var expected = (await kubectl.Run("apply", "-f", file, "-n", theirs.Namespace)).Succeeds();
            var actual = (await ours.Run("apply", "-f", file)).Succeeds();
            Assert.Equal(expected.Output, actual.Output);
            for (var i = 0; i < count; i++)
            {
                await AssertSame($"seed {seed}, round {round}, d{i}:\n{texts[round].Split("\n---\n")[i]}", theirs, ours, $"deployments/d{i}");
                var change = Encoding.UTF8.GetBytes(RandomChange(random));
                foreach (var ns in (string[])[theirs.Namespace, ours.Namespace]) await world.Server.Admin.Patch(ResourceKey.Of(Kind.Deployment, ns, $"d{i}"), PatchKind.Strategic, change, stop: TestContext.Current.CancellationToken);
            }
        }
    }

    [Fact]
    public async Task Yaml_and_json_are_printed_as_kubectl_prints_them()
    {
        Assert.SkipWhen(Kubectls.All.Count == 0, Kubectls.NoneFound);
        var verbs = await world.InNamespace("printed");
        var kubectl = verbs.Kubectl(Kubectls.All[^1]);
        string[] values = ["", " ", "a", "true", "yes", "No", "null", "~", "1", "1.5", "1e3", "0x1f", "0o7", "1_000", "-", "- a", "a: b", "a:b", "a #b", "a#b", "#a", "@a", "*a", "&a", "!a", "'a'", "\"a\"", "%a", "{a}", "[a]", "a]", "|", ">a", "a\n", "a\nb", "a\n\n", "\na", " a\nb", "a\tb", "127.0.0.1", "12:30", "12:30:45", "2026-01-02", "2026-01-02T03:04:05Z", "<a&b>", "ä", "back\\slash", "a ", ":", "a:", "?", "? a", "=", "<<", ".5", ".", "..", "+1", "1.2.3", "e1", "x y z", "---", "`a`", "a,b", "0b1", "08", "09", "010", "1:2", "k: |\n  x\n"];
        var data = new System.Text.Json.Nodes.JsonObject(values.Select((x, i) => KeyValuePair.Create(string.Create(CultureInfo.InvariantCulture, $"k{i:00}"), (System.Text.Json.Nodes.JsonNode?)x)));
        var map = new System.Text.Json.Nodes.JsonObject { ["apiVersion"] = "v1", ["kind"] = "ConfigMap", ["metadata"] = new System.Text.Json.Nodes.JsonObject { ["name"] = "odd", ["namespace"] = verbs.Namespace }, ["data"] = data };
        await world.Server.Admin.Create(ResourceKey.Of(Kind.ConfigMap, verbs.Namespace, "odd"), Encoding.UTF8.GetBytes(map.ToJsonString()), stop: TestContext.Current.CancellationToken);
        foreach (var form in (string[])["json", "yaml", "name", "wide"])
        {
            foreach (var what in (string[])["cm/odd", "cm"])
            {
                var expected = (await kubectl.Run("get", what, "-o", form, "-n", verbs.Namespace)).Succeeds();
                // The two may be asked in different seconds.
                Assert.Equal(Regex.Replace(expected.Output, @"\d+s\n", "AGE\n"), Regex.Replace((await verbs.Run("get", what, "-o", form)).Succeeds().Output, @"\d+s\n", "AGE\n"));
            }
        }
        // What is printed is read again as the same.
        var printed = Declarative.Api.Wire.Yaml.Read((await verbs.Run("get", "cm/odd", "-o", "yaml")).Output)[0].Json;
        Assert.True(System.Text.Json.Nodes.JsonNode.DeepEquals(data, System.Text.Json.Nodes.JsonNode.Parse(printed)!["data"]));
    }

    /// <summary>Plain words of YAML become the same JSON; kubectl shows what it has made of them where it sends nothing.</summary>
    [Fact]
    public async Task Plain_words_are_read_as_kubectl_reads_them()
    {
        Assert.SkipWhen(Kubectls.All.Count == 0, Kubectls.NoneFound);
        var verbs = await world.InNamespace("words");
        string[] words = ["true", "True", "TRUE", "tRue", "yes", "Yes", "YES", "yEs", "y", "Y", "on", "On", "off", "OFF", "no", "n", "N", "null", "Null", "~", "", "1", "+1", "-1", "01", "010", "08", "0o17", "0x1f", "-0x1f", "0b11", "1_000", "1.5", ".5", "5.", "-.5", "1e3", "1E3", "1e+3", "1.5e-3", "e3", "1e", "0.0", "-0", "0", "00", "99999999999999999999", "1:30", "2026-01-02", "2026-01-02T03:04:05Z", "0x", "0b", "0o", "--1", "1-2", "1.2.3", "127.0.0.1", "a_b", "_1", "1_", "=", "a=b", "100m", "1Gi"];
        var file = verbs.File("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: words\ndata:\n" + string.Concat(words.Select((x, i) => $"  k{i}: {x}\n")));
        var shown = (await verbs.Kubectl(Kubectls.All[^1]).Run("create", "-f", file, "--dry-run=client", "--validate=false", "-o", "json", "-n", verbs.Namespace)).Succeeds();
        var expected = System.Text.Json.Nodes.JsonNode.Parse(shown.Output)!["data"]!;
        var actual = System.Text.Json.Nodes.JsonNode.Parse(Declarative.Api.Wire.Yaml.Read(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken))[0].Json)!["data"]!;
        Assert.Multiple([.. words.Select((x, i) => (Action)(() => Assert.True(System.Text.Json.Nodes.JsonNode.DeepEquals(expected[$"k{i}"], actual[$"k{i}"]), $"{x}: kubectl {expected[$"k{i}"]?.ToJsonString() ?? "null"}, here {actual[$"k{i}"]?.ToJsonString() ?? "null"}")))]);
    }

    private static async Task AssertSame(string step, VerbRunner theirs, VerbRunner ours, params string[] objects)
    {
        foreach (var x in objects.Length > 0 ? objects : Objects)
        {
            var (expected, actual) = (await Text(theirs, x), await Text(ours, x));
            Assert.True(expected == actual, $"{step}: {x}\n{Declarative.Cli.Verbs.LineDiff.Unified("kubectl", expected, "ours", actual)}");
        }

        static async Task<string> Text(VerbRunner verbs, string x)
        {
            try
            {
                return await verbs.Object(x.Split('/')[0], x.Split('/')[1]);
            }
            catch (ApiException e) when (e.IsNotFound)
            {
                return "not there";
            }
        }
    }

    private static string RandomDeployment(string name, Random random)
    {
        var text = new StringBuilder($"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n");
        Map("  labels", "  ", ["l1", "l2", "l3"]);
        Map("  annotations", "  ", ["a1", "a2"]);
        text.Append("spec:\n");
        if (Half()) text.Append(CultureInfo.InvariantCulture, $"  replicas: {random.Next(4)}\n");
        if (Half()) text.Append(Half() ? "  strategy: {type: Recreate}\n" : $"  strategy: {{type: RollingUpdate, rollingUpdate: {{maxSurge: {random.Next(1, 4)}}}}}\n");
        text.Append("  selector: {matchLabels: {app: x}}\n  template:\n    metadata: {labels: {app: x");
        if (Half()) text.Append(", extra: e").Append(random.Next(3));
        text.Append("}}\n    spec:\n");
        if (Half()) text.Append("      nodeSelector: {").Append(Pick(["a", "b", "c"], x => $"{x}: v{random.Next(2)}")).Append("}\n");
        if (Half()) text.Append("      tolerations: [").Append(Pick(["t1", "t2"], x => $"{{key: {x}, operator: Exists}}")).Append("]\n");
        text.Append("      volumes: [").Append(Pick(["v1", "v2", "v3"], x => Half() ? $"{{name: {x}, emptyDir: {{}}}}" : $"{{name: {x}, configMap: {{name: c{random.Next(2)}}}}}")).Append("]\n");
        text.Append("      containers:\n");
        foreach (var container in Shuffled(["c1", "c2", "c3"]).Take(random.Next(1, 4)))
        {
            text.Append("      - name: ").Append(container).Append("\n        command: [").Append(string.Join(", ", Shuffled(["x1", "x2", "x3"]).Take(random.Next(1, 4)))).Append("]\n");
            text.Append("        env: [").Append(Pick(["E1", "E2", "E3"], x => Half() ? $"{{name: {x}, value: \"{random.Next(3)}\"}}" : $"{{name: {x}, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}")).Append("]\n");
            text.Append("        ports: [").Append(Pick(["80", "81", "82"], x => $"{{containerPort: {x}, name: {container}p{x}{(Half() ? ", protocol: TCP" : "")}}}")).Append("]\n");
            if (Half()) text.Append(CultureInfo.InvariantCulture, $"        resources: {{requests: {{cpu: {random.Next(1, 3)}00m}}}}\n");
        }
        return text.ToString();

        bool Half() => random.Next(2) == 0;

        List<string> Shuffled(string[] words)
        {
            random.Shuffle(words);
            return [.. words];
        }

        string Pick(string[] words, Func<string, string> write) => string.Join(", ", Shuffled(words).Take(random.Next(words.Length + 1)).Select(write));

        void Map(string key, string indent, string[] words)
        {
            if (Half()) text.Append(key).Append(": {").Append(Pick(words, x => $"{x}: v{random.Next(3)}")).Append("}\n");
        }
    }

    /// <summary>What another user might do between two applies.</summary>
    private static string RandomChange(Random random) => random.Next(5) switch
    {
        0 => """{"metadata":{"labels":{"theirs":"1","l1":"changed"}}}""",
        1 => """{"spec":{"replicas":7}}""",
        2 => """{"spec":{"template":{"spec":{"containers":[{"name":"theirs","command":["t"]}]}}}}""",
        3 => """{"spec":{"template":{"spec":{"volumes":[{"name":"v1","emptyDir":null,"configMap":null,"secret":{"secretName":"s"}}],"nodeSelector":{"theirs":"1"}}}}}""",
        _ => """{"metadata":{"finalizers":["example.com/theirs"],"annotations":{"a1":null}}}""",
    };
}
