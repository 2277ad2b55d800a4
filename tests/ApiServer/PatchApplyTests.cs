using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Schema;
using Declarative.ApiServer.Patch;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Server-side apply. The first scenario is one that kubectl and a Kubernetes API server were recorded with.</summary>
public sealed class PatchApplyTests
{
    private const string Config =
        """
        {"apiVersion":"apps/v1","kind":"Deployment","metadata":{"labels":{"app":"ssa","part":"demo"},"name":"ssa"},
        "spec":{"replicas":2,"selector":{"matchLabels":{"app":"ssa"}},"template":{"metadata":{"labels":{"app":"ssa"}},
        "spec":{"containers":[{"args":["netexec","--http-port=8080"],"image":"agnhost:1","name":"ssa",
        "ports":[{"containerPort":8080,"name":"http","protocol":"TCP"}],"resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}]}}}}
        """;

    private const string Fields =
        """
        {"f:metadata":{"f:labels":{"f:app":{},"f:part":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},
        "f:spec":{"f:containers":{"k:{\"name\":\"ssa\"}":{".":{},"f:args":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":
        {".":{},"f:containerPort":{},"f:name":{},"f:protocol":{}}},"f:resources":{"f:requests":{"f:cpu":{},"f:memory":{}}}}}}}}}
        """;

    private static readonly SchemaType DeploymentType = TypeTable.Kind("apps", "v1", "Deployment");
    private static readonly SchemaType PodType = TypeTable.Kind("", "v1", "Pod");
    private static readonly DateTimeOffset T0 = new(2026, 11, 20, 9, 10, 19, TimeSpan.Zero);

    [Fact]
    public void Create_repeat_change_conflict_and_force_as_recorded()
    {
        var created = Apply(null, Config, "kubectl", T0);
        Same($$$"""[{"manager":"kubectl","operation":"Apply","apiVersion":"apps/v1","time":"2026-11-20T09:10:19Z","fieldsType":"FieldsV1","fieldsV1":{{{Fields}}}}]""", Managed(created));

        Same(created.ToJsonString(), Apply(created, Config, "kubectl", T0.AddSeconds(1)));

        var changed = Apply(created, Config.Replace("\"replicas\":2", "\"replicas\":3", StringComparison.Ordinal), "kubectl", T0.AddSeconds(3));
        Assert.Equal(3, (int)changed["spec"]!["replicas"]!);
        Assert.Equal("2026-11-20T09:10:22Z", (string)Managed(changed)[0]!["time"]!);

        var refused = Assert.Throws<ApiException>(() => Apply(changed, Config, "other", T0.AddSeconds(4)));
        Assert.Equal("Apply failed with 1 conflict: conflict with \"kubectl\": .spec.replicas", refused.Status.Message);
        Assert.Equal(409, refused.Code);
        var cause = Assert.Single(refused.Status.Causes);
        Assert.Equal(("FieldManagerConflict", "conflict with \"kubectl\"", ".spec.replicas"), (cause.Reason, cause.Message, cause.Field));

        var forced = Apply(changed, Config, "other", T0.AddSeconds(5), force: true);
        Assert.Equal(2, (int)forced["spec"]!["replicas"]!);
        Same(JsonNode.Parse(Fields)!.ToJsonString().Replace("\"f:replicas\":{},", "", StringComparison.Ordinal), Managed(forced)[0]!["fieldsV1"]!);
        Same(Fields, Managed(forced)[1]!["fieldsV1"]!);
        Assert.Equal(["2026-11-20T09:10:22Z", "2026-11-20T09:10:24Z"], Managed(forced).AsArray().Select(entry => (string)entry!["time"]!));
    }

    [Fact]
    public void Defaults_and_fields_of_others_stay_and_what_is_applied_no_more_goes()
    {
        var live = Apply(null, """{"metadata":{"name":"p","labels":{"a":"1","b":"2"}},"spec":{"containers":[{"name":"x","image":"1","env":[{"name":"E","value":"1"}]},{"name":"y"}],"hostname":"h"}}""", "me", T0, type: PodType);
        live = Track(live, live.ToJsonString().Replace("\"image\":\"1\"", "\"image\":\"1\",\"imagePullPolicy\":\"Always\"", StringComparison.Ordinal).Replace("\"a\":\"1\"", "\"a\":\"1\",\"c\":\"3\"", StringComparison.Ordinal), "defaulter", T0.AddSeconds(1));
        live = Apply(live, """{"metadata":{"name":"p","labels":{"b":"2"}},"spec":{"containers":[{"name":"x","image":"2"}]}}""", "me", T0.AddSeconds(2), type: PodType);
        live["metadata"]!.AsObject().Remove("managedFields");
        Same("""{"metadata":{"name":"p","labels":{"b":"2","c":"3"}},"spec":{"containers":[{"name":"x","image":"2","imagePullPolicy":"Always"}]}}""", live);
    }

    [Fact]
    public void An_element_that_another_has_fields_in_keeps_these()
    {
        var live = Apply(null, """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"x","image":"1"},{"name":"y","image":"1"}]}}""", "a", T0, type: PodType);
        live = Apply(live, """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"y","workingDir":"/"}]}}""", "b", T0, type: PodType);
        live = Apply(live, """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"x","image":"1"}]}}""", "a", T0, type: PodType);
        Same("""[{"name":"x","image":"1"},{"name":"y","workingDir":"/"}]""", live["spec"]!["containers"]!);
    }

    [Fact]
    public void A_port_without_protocol_is_the_TCP_port()
    {
        var live = Apply(null, """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"x","ports":[{"containerPort":80,"protocol":"TCP"},{"containerPort":80,"protocol":"UDP"}]}]}}""", "a", T0, type: PodType);
        live = Apply(live, """{"metadata":{"name":"p"},"spec":{"containers":[{"name":"x","ports":[{"containerPort":80,"name":"web"}]}]}}""", "b", T0, type: PodType);
        Same("""[{"containerPort":80,"protocol":"TCP","name":"web"},{"containerPort":80,"protocol":"UDP"}]""", live["spec"]!["containers"]![0]!["ports"]!);
    }

    [Fact]
    public void Objects_made_by_other_means_conflict_with_their_writer_or_with_none()
    {
        var tracked = Track(null, Config, "kubectl-client-side-apply", T0, DeploymentType);
        var refused = Assert.Throws<ApiException>(() => Apply(tracked, Config.Replace("\"replicas\":2", "\"replicas\":5", StringComparison.Ordinal).Replace("agnhost:1", "agnhost:2", StringComparison.Ordinal), "kubectl", T0));
        Assert.Equal("Apply failed with 2 conflicts: conflicts with \"kubectl-client-side-apply\" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name=\"ssa\"].image", refused.Status.Message);

        var untracked = JsonNode.Parse(Config)!;
        Assert.Contains("before-first-apply", Assert.Throws<ApiException>(() => Apply(untracked, Config.Replace("\"replicas\":2", "\"replicas\":5", StringComparison.Ordinal), "kubectl", T0)).Status.Message);
        Assert.Equal(2, Managed(Apply(untracked, Config, "kubectl", T0)).AsArray().Count);
    }

    [Fact]
    public void What_kubectl_has_applied_on_the_clients_side_it_may_change_on_the_servers()
    {
        var live = JsonNode.Parse(Config)!;
        live["metadata"]!["annotations"] = new JsonObject { ["kubectl.kubernetes.io/last-applied-configuration"] = Config };
        var wanted = Config.Replace("\"replicas\":2", "\"replicas\":5", StringComparison.Ordinal);
        Assert.Equal(5, Apply(live, wanted, "kubectl", T0)["spec"]!["replicas"]!.GetValue<int>());
        Assert.Throws<ApiException>(() => Apply(live, wanted, "other", T0));

        // Somebody has scaled it meanwhile: that is no longer what kubectl has applied.
        live["spec"]!["replicas"] = 3;
        Assert.Contains(".spec.replicas", Assert.Throws<ApiException>(() => Apply(live, wanted, "kubectl", T0)).Status.Message, StringComparison.Ordinal);
        live["metadata"]!["annotations"]!["kubectl.kubernetes.io/last-applied-configuration"] = "{";
        Assert.Throws<ApiException>(() => Apply(live, wanted, "kubectl", T0));
    }

    [Fact]
    public void Writes_move_ownership_to_the_writer()
    {
        var live = Apply(null, Config, "kubectl", T0);
        live = Track(live, live.ToJsonString().Replace("\"replicas\":2", "\"replicas\":7", StringComparison.Ordinal), "scaler", T0.AddSeconds(1), DeploymentType);
        Assert.DoesNotContain("f:replicas", Managed(live)[0]!.ToJsonString());
        Same("""{"f:spec":{"f:replicas":{}}}""", Managed(live)[1]!["fieldsV1"]!);

        // Applied again without replicas: the scaler keeps it.
        var without = Apply(live, Config.Replace("\"replicas\":2,", "", StringComparison.Ordinal), "kubectl", T0.AddSeconds(2));
        Assert.Equal(7, (int)without["spec"]!["replicas"]!);

        // An update that removes fields takes them from every owner.
        var removed = live.DeepClone();
        removed["metadata"]!.AsObject().Remove("labels");
        Assert.DoesNotContain("f:labels\":{\"f:app\":{},\"f:part", Managed(Track(live, removed.ToJsonString(), "editor", T0, DeploymentType)).ToJsonString());

        // A status is another owner of the same name.
        var status = live.DeepClone();
        status["status"] = new JsonObject { ["replicas"] = 7, ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Available", ["status"] = "True" }) };
        var written = JsonNode.Parse(ServerSideApply.Track(DeploymentType, Bytes(live), Bytes(status), new FieldWriter("scaler", "apps/v1", "status"), T0))!;
        var entry = Managed(written).AsArray().Single(x => (string?)x!["subresource"] == "status")!;
        Same("""{"f:status":{"f:conditions":{".":{},"k:{\"type\":\"Available\"}":{".":{},"f:status":{},"f:type":{}}},"f:replicas":{}}}""", entry["fieldsV1"]!);
    }

    [Fact]
    public void Managed_fields_can_be_replaced_or_reset_by_a_write_and_are_bounded()
    {
        var live = Apply(null, Config, "kubectl", T0);
        var reset = live.DeepClone();
        reset["metadata"]!["managedFields"] = new JsonArray(new JsonObject());
        Assert.Null(Track(live, reset.ToJsonString(), "x", T0, DeploymentType)["metadata"]!["managedFields"]);

        var renamed = live.DeepClone();
        Managed(renamed)[0]!["manager"] = "other";
        Assert.Equal("other", (string)Managed(Track(live, renamed.ToJsonString(), "x", T0, DeploymentType))[0]!["manager"]!);

        for (var i = 0; i < 15; i++)
        {
            live = Track(live, live.ToJsonString().Replace("\"part\"", $"\"l{i}\":\"x\",\"part\"", StringComparison.Ordinal), $"m{i:D2}", T0.AddSeconds(i), DeploymentType);
        }

        var managers = Managed(live).AsArray().Select(entry => (string)entry!["manager"]!).ToList();
        Assert.Equal(11, managers.Count);
        Assert.Contains("ancient-changes", managers);
        Assert.Contains("m14", managers);
        Assert.DoesNotContain("m03", managers);
    }

    [Theory]
    [InlineData("""{"metadata":{"name":"p","managedFields":[{"manager":"x"}]}}""", "metadata.managedFields must not be set")]
    [InlineData("""{"spec":{"containers":[{"image":"x"}]}}""", "spec.containers[0]: an element must have the keys of its list: name")]
    [InlineData("""{"spec":{"containers":[{"name":"x"},{"name":"x"}]}}""", "spec.containers[1]: a second element with the keys {\"name\":\"x\"}")]
    public void A_configuration_that_cannot_be_applied_is_refused(string config, string message)
    {
        var refused = Assert.Throws<ApiException>(() => Apply(null, config, "a", T0, type: PodType));
        Assert.Contains(message, refused.Status.Message);
        Assert.Equal(422, refused.Code);
    }

    [Fact]
    public void Kinds_in_no_table_are_applied_by_members_and_whole_lists()
    {
        var live = Apply(null, """{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"a":{"b":1,"c":2},"list":[1,2]}}""", "a", T0, type: TypeTable.Unknown);
        live = Apply(live, """{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"a":{"d":3}}}""", "b", T0, type: TypeTable.Unknown);
        live = Apply(live, """{"apiVersion":"example.org/v1","kind":"Widget","metadata":{"name":"w"},"spec":{"a":{"b":1},"list":[3]}}""", "a", T0, type: TypeTable.Unknown);
        Same("""{"a":{"b":1,"d":3},"list":[3]}""", live["spec"]!);
    }

    [Fact]
    public void The_only_applier_gets_exactly_what_it_applies_last() =>
        Holds(Gen.Zip(ArbitraryPod.Pod, ArbitraryPod.Pod), pair =>
        {
            var result = Apply(Apply(null, pair.Item1.ToJsonString(), "me", T0, type: PodType), pair.Item2.ToJsonString(), "me", T0, type: PodType);
            result["metadata"]?.AsObject().Remove("managedFields");
            return JsonNode.DeepEquals(WithoutEmpty(pair.Item2), WithoutEmpty(result));
        });

    [Fact]
    public void Each_field_has_the_value_of_its_last_owner() =>
        Holds(Gen.Zip(ArbitraryPod.Pod, Gen.Zip(ArbitraryPod.Pod, ArbitraryPod.Pod)), x =>
        {
            var (user, first, second) = (Flat(x.Item1), Flat(x.Item2.Item1), Flat(x.Item2.Item2));
            var live = Track(null, x.Item1.ToJsonString(), "user", T0, PodType);
            live = Apply(live, x.Item2.Item1.ToJsonString(), "me", T0, force: true, type: PodType);
            live = Apply(live, x.Item2.Item2.ToJsonString(), "me", T0, force: true, type: PodType);
            live["metadata"]?.AsObject().Remove("managedFields");

            // What was applied first, differently from the user's value, and then no more, belonged to nobody else and is gone.
            var expected = user.Where(field => !first.TryGetValue(field.Key, out var taken) || taken == field.Value).ToDictionary();
            foreach (var (path, value) in second)
            {
                expected[path] = value;
            }

            Assert.Equal(Lines(expected), Lines(Flat(live)));
            return true;
        });

    // Every leaf by its path; elements by name, sets by value, other lists and node selectors as a whole.
    private static Dictionary<string, string> Flat(JsonNode? node, string path = "") => node switch
    {
        JsonObject o when !path.EndsWith("nodeSelector", StringComparison.Ordinal) => o.SelectMany(member => Flat(member.Value, $"{path}.{member.Key}")).ToDictionary(),
        JsonArray a when a.Count > 0 && a[0] is JsonObject => a.SelectMany(item => Flat(item, $"{path}[{item!["name"]}]")).ToDictionary(),
        JsonArray a when path.EndsWith("finalizers", StringComparison.Ordinal) => a.ToDictionary(item => $"{path}[{item}]", _ => ""),
        JsonArray { Count: 0 } when !path.EndsWith("args", StringComparison.Ordinal) => [],
        _ => new Dictionary<string, string> { [path] = node?.ToJsonString() ?? "null" },
    };

    private static string Lines(Dictionary<string, string> fields) =>
        string.Join('\n', fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => $"{field.Key} = {field.Value}"));

    private static JsonNode? WithoutEmpty(JsonNode? node)
    {
        switch (node)
        {
            case JsonObject o:
                var kept = new JsonObject();
                foreach (var (name, value) in o)
                {
                    if (WithoutEmpty(value) is { } inner)
                    {
                        kept[name] = inner;
                    }
                }

                return kept.Count == 0 ? null : kept;
            case JsonArray a:
                return a.Count == 0 ? null : new JsonArray([.. a.Select(WithoutEmpty)]);
            default:
                return node?.DeepClone();
        }
    }

    private static JsonNode Apply(JsonNode? live, string config, string manager, DateTimeOffset now, bool force = false, SchemaType? type = null) =>
        JsonNode.Parse(ServerSideApply.Apply(type ?? DeploymentType, live is null ? default : Bytes(live), Encoding.UTF8.GetBytes(config), new FieldWriter(manager, "apps/v1"), force, now))!;

    private static JsonNode Track(JsonNode? live, string updated, string manager, DateTimeOffset now, SchemaType? type = null) =>
        JsonNode.Parse(ServerSideApply.Track(type ?? PodType, live is null ? default : Bytes(live), Encoding.UTF8.GetBytes(updated), new FieldWriter(manager, "apps/v1"), now))!;

    private static JsonNode Managed(JsonNode live) => live["metadata"]!["managedFields"]!;

    private static ReadOnlyMemory<byte> Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString());

    private static void Same(string expected, JsonNode found)
    {
        if (!JsonNode.DeepEquals(JsonNode.Parse(expected), found))
        {
            Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), found.ToJsonString());
        }
    }

    private static void Holds<T>(Gen<T> gen, Func<T, bool> property, int tests = 2000) =>
        Check.One(Config1.WithMaxTest(tests), Prop.ForAll(gen.ToArbitrary(), property));

    private static readonly FsCheck.Config Config1 = FsCheck.Config.QuickThrowOnFailure;
}
