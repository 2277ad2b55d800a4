using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>What every way to the API must do alike: in process, over HTTPS, and after a restart.</summary>
public abstract class ApiContract : IAsyncLifetime
{
    protected CancellationToken Stop => TestContext.Current.CancellationToken;

    protected IApi Api { get; private set; } = null!;

    protected abstract Task<IApi> Start();

    protected abstract ValueTask End();

    public async ValueTask InitializeAsync() => Api = await Start();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await End();
    }

    [Fact]
    public async Task What_is_created_is_served_with_identity_and_revision()
    {
        var made = await Make("a", """{"k":"v"}""");
        var got = await Api.Get(made.Key, stop: Stop);
        Assert.Equal(Text(made), Text(got));
        var map = ConfigMap.Read(got.Json);
        Assert.Equal("v", map.Data["k"]);
        Assert.Equal(36, map.Uid.Length);
        Assert.Equal(made.Revision.ToString(System.Globalization.CultureInfo.InvariantCulture), map.Metadata.ResourceVersion);
        Assert.NotNull(map.Metadata.CreationTimestamp);
        Assert.Equal(409, (await Refused(() => Make("a"))).Code);
        Assert.Equal(404, (await Refused(() => Api.Get(Key("none"), stop: Stop))).Code);
    }

    [Fact]
    public async Task Of_many_updates_of_one_revision_exactly_one_wins()
    {
        var made = await Make("a");
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(async i =>
        {
            try
            {
                await Api.Update(made.Key, Map("a", $$"""{"n":"{{i}}"}""", made.Revision), stop: Stop);
                return 200;
            }
            catch (ApiException e)
            {
                Assert.True(e.IsConflict, e.Message);
                return e.Code;
            }
        }));
        Assert.Equal(1, outcomes.Count(x => x == 200));
    }

    [Fact]
    public async Task Patches_of_many_writers_are_all_kept()
    {
        var made = await Make("a");
        await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            Api.Patch(made.Key, PatchKind.Merge, Encoding.UTF8.GetBytes("{\"data\":{\"k" + i + "\":\"x\"}}"), stop: Stop)));
        Assert.Equal(20, ConfigMap.Read((await Api.Get(made.Key, stop: Stop)).Json).Data.Count);
    }

    [Fact]
    public async Task A_write_that_changes_nothing_makes_no_revision()
    {
        var made = await Make("a", """{"k":"v"}""");
        var again = await Api.Patch(made.Key, PatchKind.Merge, """{"data":{"k":"v"}}"""u8.ToArray(), stop: Stop);
        Assert.Equal(made.Revision, again.Revision);
    }

    [Fact]
    public async Task Pages_belong_to_one_revision()
    {
        for (var i = 0; i < 7; i++) await Make($"m{i}");
        var first = await Api.List(new(Kind.ConfigMap, "default") { Limit = 3, Labels = LabelSelector.Everything }, Stop);
        Assert.Equal(3, first.Items.Count);
        await Make("m00");
        await Api.Delete(Key("m5"), stop: Stop);
        var second = await Api.List(new(Kind.ConfigMap, "default") { Limit = 3, Continue = first.Continue }, Stop);
        var third = await Api.List(new(Kind.ConfigMap, "default") { Limit = 3, Continue = second.Continue }, Stop);
        Assert.Equal(first.Revision, second.Revision);
        Assert.Equal(["m0", "m1", "m2", "m3", "m4", "m5", "m6"], first.Items.Concat(second.Items).Concat(third.Items).Select(x => x.Key.Name));
        Assert.Equal("", third.Continue);
        Assert.Equal(400, (await Refused(() => Api.List(new(Kind.ConfigMap, "default") { Continue = "?" }, Stop))).Code);
    }

    [Fact]
    public async Task A_watch_resumes_without_gaps()
    {
        var made = await Make("a");
        await Make("b");
        await Api.Patch(Key("b"), PatchKind.Merge, """{"metadata":{"labels":{"x":"y"}}}"""u8.ToArray(), stop: Stop);
        await Api.Delete(Key("b"), stop: Stop);
        var all = await Take(new(Kind.ConfigMap, "default") { From = made.Revision }, 3);
        Assert.Equal([WatchEventType.Added, WatchEventType.Modified, WatchEventType.Deleted], all.Select(x => x.Type));
        var rest = await Take(new(Kind.ConfigMap, "default") { From = all[0].Revision }, 2);
        Assert.Equal(all.Skip(1).Select(x => x.Revision), rest.Select(x => x.Revision));
    }

    [Fact]
    public async Task A_selector_turns_changes_into_appearing_and_disappearing()
    {
        var made = await Make("a");
        await Api.Patch(made.Key, PatchKind.Merge, """{"metadata":{"labels":{"x":"y"}}}"""u8.ToArray(), stop: Stop);
        await Api.Patch(made.Key, PatchKind.Merge, """{"metadata":{"labels":{"x":null}}}"""u8.ToArray(), stop: Stop);
        var seen = await Take(new(Kind.ConfigMap, "default") { From = made.Revision, Labels = LabelSelector.Parse("x=y") }, 2);
        Assert.Equal([WatchEventType.Added, WatchEventType.Deleted], seen.Select(x => x.Type));
    }

    [Fact]
    public async Task Bookmarks_tell_of_revisions_of_other_kinds()
    {
        var made = await Make("a");
        var seen = await Take(new(Kind.Secret, "default") { From = made.Revision - 1, Bookmarks = true, BookmarkEvery = TimeSpan.FromMilliseconds(10) }, 1);
        Assert.Equal(WatchEventType.Bookmark, seen[0].Type);
        Assert.True(seen[0].Revision >= made.Revision);
    }

    [Fact]
    public async Task Finalizers_hold_a_deleted_object()
    {
        await Api.Create(Key("f"), """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"f","finalizers":["example.com/hold"]}}"""u8.ToArray(), stop: Stop);
        var marked = await Api.Delete(Key("f"), stop: Stop);
        Assert.True(ConfigMap.Read(marked.Json).Metadata.IsDeleting);
        Assert.Equal(marked.Revision, (await Api.Delete(Key("f"), stop: Stop)).Revision);
        await Api.Patch(Key("f"), PatchKind.Merge, """{"metadata":{"finalizers":null}}"""u8.ToArray(), stop: Stop);
        Assert.Equal(404, (await Refused(() => Api.Get(Key("f"), stop: Stop))).Code);
    }

    [Fact]
    public async Task A_namespace_stays_terminating_until_finalized()
    {
        var key = new ResourceKey(Kind.Namespace, "", "team");
        await Api.Create(key, """{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team"}}"""u8.ToArray(), stop: Stop);
        await Api.Delete(key, stop: Stop);
        Assert.Equal("Terminating", Namespace.Read((await Api.Get(key, stop: Stop)).Json).Status.Phase);
        var refused = await Refused(() => Api.Create(new(Kind.ConfigMap, "team", "x"), Map("x"), stop: Stop));
        Assert.Equal(403, refused.Code);
        await Api.Patch(key, PatchKind.Merge, """{"spec":{"finalizers":null}}"""u8.ToArray(), new() { Subresource = "finalize" }, Stop);
        Assert.Equal(404, (await Refused(() => Api.Get(key, stop: Stop))).Code);
    }

    [Fact]
    public async Task Binding_assigns_once_and_copies_annotations()
    {
        var pod = new ResourceKey(Kind.Pod, "default", "p");
        await Api.Create(pod, """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":{"containers":[{"name":"c","command":["sleep","1"]}]}}"""u8.ToArray(), stop: Stop);
        var binding = """{"apiVersion":"v1","kind":"Binding","metadata":{"name":"p","annotations":{"declarative.mesos/task":"{}"}},"target":{"name":"agent-0"}}"""u8.ToArray();
        await Api.Create(pod, binding, new() { Subresource = "binding" }, Stop);
        var bound = Pod.Read((await Api.Get(pod, stop: Stop)).Json);
        Assert.Equal("agent-0", bound.Spec.NodeName);
        Assert.Equal("{}", bound.Metadata.Annotations["declarative.mesos/task"]);
        Assert.Equal(409, (await Refused(() => Api.Create(pod, binding, new() { Subresource = "binding" }, Stop))).Code);

        await Api.Patch(pod, PatchKind.Merge, """{"status":{"phase":"Running"},"spec":{"nodeName":"other"}}"""u8.ToArray(), new() { Subresource = "status" }, Stop);
        var running = Pod.Read((await Api.Get(pod, stop: Stop)).Json);
        Assert.Equal(("Running", "agent-0"), (running.Status.Phase, running.Spec.NodeName));

        var marked = Pod.Read((await Api.Delete(pod, stop: Stop)).Json);
        Assert.Equal(30, marked.Metadata.DeletionGracePeriodSeconds);
        await Api.Delete(pod, new() { GracePeriodSeconds = 0, Uid = marked.Uid }, Stop);
        Assert.Equal(404, (await Refused(() => Api.Get(pod, stop: Stop))).Code);
    }

    [Fact]
    public async Task Scale_changes_replicas_and_generation()
    {
        var key = new ResourceKey(Kind.Deployment, "default", "web");
        await Api.Create(key, """{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","command":["x"]}]}}}}"""u8.ToArray(), stop: Stop);
        var scale = JsonNode.Parse((await Api.Get(key, "scale", Stop)).Json.Span)!;
        Assert.Equal(1, (int)scale["spec"]!["replicas"]!);
        Assert.Equal("app=web", (string)scale["status"]!["selector"]!);
        await Api.Patch(key, PatchKind.Merge, """{"spec":{"replicas":4}}"""u8.ToArray(), new() { Subresource = "scale" }, Stop);
        var deployment = Deployment.Read((await Api.Get(key, stop: Stop)).Json);
        Assert.Equal((4, 2L), (deployment.Spec.Replicas, deployment.Metadata.Generation));
        await Api.Patch(key, PatchKind.Merge, """{"status":{"replicas":3}}"""u8.ToArray(), new() { Subresource = "status" }, Stop);
        deployment = Deployment.Read((await Api.Get(key, stop: Stop)).Json);
        Assert.Equal((3, 2L), (deployment.Status.Replicas, deployment.Metadata.Generation));
    }

    [Fact]
    public async Task Server_side_apply_creates_merges_and_tells_of_conflicts()
    {
        static byte[] Config(string value) => Encoding.UTF8.GetBytes("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"s\"},\"data\":{\"mine\":\"" + value + "\"}}");
        WriteOptions As(string manager, bool force = false) => new() { FieldManager = manager, Force = force };
        var made = await Api.Patch(Key("s"), PatchKind.Apply, Config("1"), As("one"), Stop);
        Assert.Equal(made.Revision, (await Api.Patch(Key("s"), PatchKind.Apply, Config("1"), As("one"), Stop)).Revision);
        await Api.Patch(Key("s"), PatchKind.Merge, "{\"data\":{\"other\":\"x\",\"mine\":\"2\"}}"u8.ToArray(), As("two"), Stop);
        var conflict = await Refused(() => Api.Patch(Key("s"), PatchKind.Apply, Config("3"), As("one"), Stop));
        Assert.Equal(409, conflict.Code);
        Assert.Contains(conflict.Status.Causes, x => x.Reason == "FieldManagerConflict" && x.Field == ".data.mine" && x.Message.Contains("\"two\"", StringComparison.Ordinal));
        var forced = ConfigMap.Read((await Api.Patch(Key("s"), PatchKind.Apply, Config("3"), As("one", force: true), Stop)).Json);
        Assert.Equal(("3", "x"), (forced.Data["mine"], forced.Data["other"]));
        Assert.Equal(422, (await Refused(() => Api.Patch(Key("s"), PatchKind.Apply, Config("3"), new(), Stop))).Code);
    }

    [Fact]
    public async Task A_dry_run_answers_as_the_write_would_and_stores_nothing()
    {
        var made = await Make("a", "{\"k\":\"v\"}");
        var dry = ConfigMap.Read((await Api.Patch(made.Key, PatchKind.Merge, "{\"data\":{\"k\":\"w\"}}"u8.ToArray(), new() { DryRun = true }, Stop)).Json);
        Assert.Equal(("w", made.Revision.ToString(System.Globalization.CultureInfo.InvariantCulture)), (dry.Data["k"], dry.Metadata.ResourceVersion));
        Assert.Equal("v", ConfigMap.Read((await Api.Get(made.Key, stop: Stop)).Json).Data["k"]);
    }

    [Theory]
    [InlineData("\"volumes\":[{\"name\":\"v\",\"emptyDir\":{}}]", "", "spec.volumes")]
    [InlineData("\"securityContext\":{\"runAsUser\":1000}", "", "spec.securityContext")]
    [InlineData("\"hostNetwork\":true", "", "spec.hostNetwork")]
    [InlineData("\"dnsPolicy\":\"None\",\"dnsConfig\":{\"nameservers\":[\"127.0.0.1\"]}", "", "spec.dnsPolicy: stored, but has no effect: the process resolves")]
    [InlineData("", "\"lifecycle\":{\"preStop\":{\"sleep\":{\"seconds\":1}}}", "spec.containers[0].lifecycle")]
    [InlineData("", "\"env\":[{\"name\":\"A\",\"valueFrom\":{\"fileKeyRef\":{\"volumeName\":\"v\",\"path\":\"p\",\"key\":\"k\"}}}]", "spec.containers[0].env[0].valueFrom.fileKeyRef")]
    [InlineData("", "\"readinessProbe\":{\"grpc\":{\"port\":80}}", "readinessProbe.grpc")]
    [InlineData("", "\"readinessProbe\":{\"httpGet\":{\"port\":\"htp\"}},\"ports\":[{\"name\":\"http\",\"containerPort\":80}]", "did you mean \"http\"")]
    public async Task What_has_no_effect_is_said(string spec, string container, string told)
    {
        static string And(string text) => text.Length > 0 ? text + "," : "";
        var json = "{\"metadata\":{\"name\":\"p\"},\"spec\":{" + And(spec) + "\"containers\":[{" + And(container) + "\"name\":\"c\",\"command\":[\"x\"]}]}}";
        var warnings = new List<string>();
        await Api.Create(new(Kind.Pod, "default", "p"), Encoding.UTF8.GetBytes(json), new() { Warnings = warnings }, Stop);
        Assert.Contains(warnings, x => x.Contains(told, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_has_its_effect_anyway_and_what_was_said_before_is_not_said()
    {
        var key = new ResourceKey(Kind.Service, "default", "quiet");
        var warnings = new List<string>();
        await Api.Create(key, """{"metadata":{"name":"quiet"},"spec":{"type":"LoadBalancer","sessionAffinity":"None","internalTrafficPolicy":"Cluster","ports":[{"port":80}],"selector":{"a":"b"}}}"""u8.ToArray(), new() { Warnings = warnings }, Stop);
        Assert.Empty(warnings);
        await Api.Patch(key, PatchKind.Merge, """{"spec":{"loadBalancerSourceRanges":["10.0.0.0/8"]}}"""u8.ToArray(), new() { Warnings = warnings }, Stop);
        Assert.Contains("whoever reaches the address is served", Assert.Single(warnings), StringComparison.Ordinal);
        await Api.Patch(key, PatchKind.Merge, """{"metadata":{"labels":{"a":"b"}}}"""u8.ToArray(), new() { Warnings = warnings }, Stop);
        Assert.Single(warnings);
    }

    [Fact]
    public async Task Services_get_unique_addresses_and_ports()
    {
        async Task<Service> New(string name) => Service.Read((await Api.Create(new(Kind.Service, "default", name), Encoding.UTF8.GetBytes("""{"apiVersion":"v1","kind":"Service","metadata":{"name":"NAME"},"spec":{"type":"LoadBalancer","ports":[{"port":80}],"selector":{"a":"b"}}}""".Replace("NAME", name, StringComparison.Ordinal)), stop: Stop)).Json);
        var (one, two) = (await New("one"), await New("two"));
        Assert.StartsWith("127.64.0.", one.Spec.ClusterIP, StringComparison.Ordinal);
        Assert.NotEqual(one.Spec.ClusterIP, two.Spec.ClusterIP);
        Assert.NotEqual(one.Spec.Ports[0].NodePort, two.Spec.Ports[0].NodePort);
        Assert.Equal(80, one.Spec.Ports[0].TargetPort!.Value.Int);
    }

    [Theory]
    [InlineData("{", 400, "")]
    [InlineData("""{"metadata":{"name":"Bad_Name"}}""", 422, "metadata.name")]
    [InlineData("""{"metadata":{"name":"x","labels":{"a":"not a label"}}}""", 422, "metadata.labels")]
    [InlineData("""{"kind":"Secret","metadata":{"name":"x"}}""", 400, "")]
    [InlineData("""{"metadata":{"name":"x"},"data":{"a":1}}""", 400, "")]
    public async Task Bad_objects_are_refused_and_nothing_is_stored(string json, int code, string field)
    {
        var refused = await Refused(() => Api.Create(new(Kind.ConfigMap, "default", ""), Encoding.UTF8.GetBytes(json), stop: Stop));
        Assert.Equal(code, refused.Code);
        if (field.Length > 0) Assert.Contains(refused.Status.Causes, x => x.Field == field);
        Assert.DoesNotContain((await Api.List(new(Kind.ConfigMap, "default"), Stop)).Items, x => x.Key.Name == "x");
    }

    protected static ResourceKey Key(string name) => new(Kind.ConfigMap, "default", name);

    protected Task<Stored> Make(string name, string data = "{}") => Api.Create(Key(name), Map(name, data), stop: Stop);

    protected static byte[] Map(string name, string data = "{}", long revision = 0) =>
        Encoding.UTF8.GetBytes($$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{name}}"{{(revision > 0 ? $",\"resourceVersion\":\"{revision}\"" : "")}}},"data":{{data}}}""");

    protected static async Task<ApiException> Refused(Func<Task> call) => await Assert.ThrowsAsync<ApiException>(call);

    protected async Task<List<WatchEvent>> Take(WatchRequest request, int count)
    {
        var events = new List<WatchEvent>();
        await foreach (var change in Api.Watch(request, Stop))
        {
            events.Add(change);
            if (events.Count == count) break;
        }
        return events;
    }

    private static string Text(Stored stored) => Encoding.UTF8.GetString(stored.Json.Span);
}
