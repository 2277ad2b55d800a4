using System.Text.Json.Nodes;
using Declarative.ApiServer.Storage.Sqlite;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>Who changed what, taking it back, and the whole of it in a file.</summary>
public sealed class HistoryTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("declarative-history-").FullName;
    private RunningFace _server = null!;
    private VerbRunner _verbs = null!;

    private string Database => Path.Combine(_directory, "state.db");

    public async ValueTask InitializeAsync()
    {
        _server = await RunningFace.Start(journal: await SqliteJournal.Open(Database));
        _verbs = new(_server, "default");
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Every_change_is_told_with_who_made_it_and_what_it_changed()
    {
        await Deploy(replicas: 2);
        (await _verbs.Kubectl(Kubectls.All[^1]).Run("scale", "deployment/web", "--replicas=5")).Succeeds();
        await Deploy(replicas: 5, color: "blue");
        await _server.Admin.Patch(_verbs.Key("deployments", "web"), Declarative.Api.PatchKind.Merge, """{"status":{"replicas":5}}"""u8.ToArray(), new() { Subresource = "status" }, TestContext.Current.CancellationToken);

        var lines = (await _verbs.Run("history", "deployment/web")).Succeeds().Output.TrimEnd().Split('\n');
        Assert.Equal(["REVISION", "TIME", "USER", "MANAGER", "VERB", "CHANGED"], lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Equal(4, lines.Length); // what only reports the status is no change
        Assert.EndsWith("update   spec.template.spec.containers[c].env[COLOR].value red → blue", lines[1], StringComparison.Ordinal);
        Assert.Contains("kubectl", lines[2], StringComparison.Ordinal);
        Assert.EndsWith("update   spec.replicas 2 → 5", lines[2], StringComparison.Ordinal);
        Assert.EndsWith("create   -", lines[3], StringComparison.Ordinal);
        Assert.All(lines[1..], line => Assert.Contains("   admin   ", line, StringComparison.Ordinal));

        var revision = lines[2].Split(' ')[0];
        var diff = (await _verbs.Run("history", "deployment/web", "--diff", revision)).Succeeds().Output;
        Assert.Contains("-  replicas: 2\n+  replicas: 5\n", diff, StringComparison.Ordinal);
        Assert.DoesNotContain("COLOR", diff.Split("replicas: 5")[1].Split("@@")[0], StringComparison.Ordinal);
        var whole = JsonNode.Parse((await _verbs.Run("history", "deployment/web", "-o", "json", "--limit", "2")).Succeeds().Output)!["items"]!.AsArray();
        Assert.Equal(["blue", "red"], whole.Select(x => (string)x!["object"]!["spec"]!["template"]!["spec"]!["containers"]![0]!["env"]![0]!["value"]!));

        (await _verbs.Run("history", "deployment/web", "--diff", "1")).Fails("has no change 1; there are: ");
        (await _verbs.Run("history", "deployment/nobody")).Fails("\"nobody\" not found");
    }

    [Fact]
    public async Task A_change_and_a_deletion_are_undone()
    {
        await Deploy(replicas: 2);
        await Deploy(replicas: 7, color: "blue");
        (await _verbs.Run("undo", "deployment/web", "--dry-run")).Succeeds();
        Assert.Equal("7 blue", await Now());
        Assert.Matches("^deployment.apps/web is as it was at revision [0-9]+\n$", (await _verbs.Run("undo", "deployment/web")).Succeeds().Output);
        Assert.Equal("2 red", await Now());
        // Undone again: forward.
        (await _verbs.Run("undo", "deployment/web")).Succeeds();
        Assert.Equal("7 blue", await Now());
        var first = (await _verbs.Run("history", "deployment/web")).Output.TrimEnd().Split('\n')[^1].Split(' ')[0];
        (await _verbs.Run("undo", "deployment/web", "--to", first)).Succeeds();
        Assert.Equal("2 red", await Now());

        (await _verbs.Run("delete", "deployment/web")).Succeeds();
        Assert.Contains("delete", (await _verbs.Run("history", "deployment/web")).Succeeds().Output.Split('\n')[1], StringComparison.Ordinal);
        (await _verbs.Run("undo", "deployment/web")).Succeeds();
        Assert.Equal("2 red", await Now());

        // Of any kind: with what the server had given it.
        (await _verbs.Run("apply", "-f", _verbs.File("""{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"selector":{"a":"b"},"ports":[{"port":80}]}}"""))).Succeeds();
        var before = await Text("services", "s", "clusterIP");
        (await _verbs.Run("delete", "service/s")).Succeeds();
        (await _verbs.Run("undo", "service/s")).Succeeds();
        Assert.Equal(before, await Text("services", "s", "clusterIP"));
        (await _verbs.Run("apply", "-f", _verbs.File("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"once"}}"""))).Succeeds();
        (await _verbs.Run("undo", "configmap/once")).Fails("no earlier state is kept");
    }

    [Fact]
    public async Task A_backup_is_restored_elsewhere_and_a_damaged_one_is_not()
    {
        await Deploy(replicas: 2);
        (await _verbs.Run("apply", "-f", _verbs.File("""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"p":"w"}}"""))).Succeeds();
        var file = Path.Combine(_directory, "all.backup");
        var said = (await _verbs.Run("backup", file)).Succeeds().Output;
        Assert.Matches("objects as of revision [0-9]+, [0-9]+ bytes", said);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));

        var elsewhere = Path.Combine(_directory, "elsewhere");
        Assert.Contains("objects as of revision", (await _verbs.Alone("restore", file, "--data", elsewhere)).Succeeds().Output, StringComparison.Ordinal);
        await using (var restored = await RunningFace.Start(journal: await SqliteJournal.Open(Path.Combine(elsewhere, "state.db"))))
        {
            var theirs = new VerbRunner(restored, "default");
            Assert.Equal(await _verbs.Object("deployments", "web"), await theirs.Object("deployments", "web"));
            Assert.Equal(await _verbs.Object("secrets", "s"), await theirs.Object("secrets", "s"));
            Assert.True(restored.Revision >= _server.Revision);
        }
        (await _verbs.Alone("restore", file, "--data", elsewhere)).Fails("--replace");
        (await _verbs.Alone("restore", file, "--data", elsewhere, "--replace")).Succeeds();
        (await _verbs.Alone("restore", file, "--data", elsewhere, "--replace")).Succeeds();
        Assert.True(File.Exists(Path.Combine(elsewhere, "state.db.before-restore")));
        Assert.True(File.Exists(Path.Combine(elsewhere, "state.db.before-restore.2")));
        await File.WriteAllTextAsync(Path.Combine(_directory, "keys"), "no key", TestContext.Current.CancellationToken);
        (await _verbs.Alone("restore", file, "--data", elsewhere, "--replace", "--encryption-keys", Path.Combine(_directory, "keys"))).Fails("keys");
        Assert.True(File.Exists(Path.Combine(elsewhere, "state.db")));

        var bytes = await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken);
        for (var i = 0; i < 20; i++)
        {
            var damaged = (byte[])bytes.Clone();
            damaged[(i + 1) * bytes.Length / 22] ^= 0x10;
            await File.WriteAllBytesAsync(file, damaged, TestContext.Current.CancellationToken);
            Assert.NotEqual(0, (await _verbs.Alone("restore", file, "--data", Path.Combine(_directory, "no"))).Code);
            Assert.False(File.Exists(Path.Combine(_directory, "no", "state.db")));
        }
        await File.WriteAllBytesAsync(file, bytes[..(bytes.Length / 2)], TestContext.Current.CancellationToken);
        Assert.NotEqual(0, (await _verbs.Alone("restore", file, "--data", Path.Combine(_directory, "no"))).Code);
    }

    [Fact]
    public async Task Who_may_not_read_an_object_may_not_read_what_it_was()
    {
        (await _verbs.Run("apply", "-f", _verbs.File("""{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"p":"w"}}"""))).Succeeds();
        using var dns = _server.Client("dns");
        Assert.Equal(System.Net.HttpStatusCode.Forbidden, (await dns.GetAsync("/api/v1/namespaces/default/secrets/s/history", TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal(System.Net.HttpStatusCode.Forbidden, (await dns.GetAsync("/backup", TestContext.Current.CancellationToken)).StatusCode);
    }

    private async Task Deploy(int replicas, string color = "red") => (await _verbs.Run("apply", "-f", _verbs.File($$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web}
        spec:
          replicas: {{replicas}}
          selector: {matchLabels: {a: b} }
          template:
            metadata: {labels: {a: b} }
            spec: {containers: [{name: c, command: [x], env: [{name: COLOR, value: "{{color}}" }]}]}
        """))).Succeeds();

    private async Task<string> Now()
    {
        var spec = JsonNode.Parse((await _verbs.Run("get", "deployment/web", "-o", "json")).Succeeds().Output)!["spec"]!;
        return $"{spec["replicas"]} {spec["template"]!["spec"]!["containers"]![0]!["env"]![0]!["value"]}";
    }

    private async Task<string> Text(string plural, string name, string field) =>
        (string)JsonNode.Parse((await _verbs.Run("get", $"{plural}/{name}", "-o", "json")).Succeeds().Output)!["spec"]![field]!;
}
