using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Schema;
using Declarative.ApiServer.Patch;
using Xunit;

namespace Declarative.Tests.ApiServer;

public sealed class PatchTests
{
    // RFC 6902, appendix A, and more.
    [Theory]
    [InlineData("""{"foo":"bar"}""", """[{"op":"add","path":"/baz","value":"qux"}]""", """{"baz":"qux","foo":"bar"}""")]
    [InlineData("""{"foo":["bar","baz"]}""", """[{"op":"add","path":"/foo/1","value":"qux"}]""", """{"foo":["bar","qux","baz"]}""")]
    [InlineData("""{"baz":"qux","foo":"bar"}""", """[{"op":"remove","path":"/baz"}]""", """{"foo":"bar"}""")]
    [InlineData("""{"foo":["bar","qux","baz"]}""", """[{"op":"remove","path":"/foo/1"}]""", """{"foo":["bar","baz"]}""")]
    [InlineData("""{"baz":"qux","foo":"bar"}""", """[{"op":"replace","path":"/baz","value":"boo"}]""", """{"baz":"boo","foo":"bar"}""")]
    [InlineData("""{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}""", """[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]""", """{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}""")]
    [InlineData("""{"foo":["all","grass","cows","eat"]}""", """[{"op":"move","from":"/foo/1","path":"/foo/3"}]""", """{"foo":["all","cows","eat","grass"]}""")]
    [InlineData("""{"baz":"qux","foo":["a",2,"c"]}""", """[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2.0}]""", """{"baz":"qux","foo":["a",2,"c"]}""")]
    [InlineData("""{"foo":"bar"}""", """[{"op":"add","path":"/child","value":{"grandchild":{}}}]""", """{"foo":"bar","child":{"grandchild":{}}}""")]
    [InlineData("""{"foo":["bar"]}""", """[{"op":"add","path":"/foo/-","value":["abc","def"]}]""", """{"foo":["bar",["abc","def"]]}""")]
    [InlineData("""{"/":9,"~1":10}""", """[{"op":"test","path":"/~01","value":10},{"op":"remove","path":"/~1"}]""", """{"~1":10}""")]
    [InlineData("""{"a":{"b":1}}""", """[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]""", """{"a":{"b":1},"c":{"b":2}}""")]
    [InlineData("""{"a":1}""", """[{"op":"replace","path":"","value":{"b":null}}]""", """{"b":null}""")]
    [InlineData("""{"":1}""", """[{"op":"replace","path":"/","value":2}]""", """{"":2}""")]
    [InlineData("""{"a":1}""", "[]", """{"a":1}""")]
    public void Json_patch(string current, string patch, string result) => Same(result, Apply(PatchKind.Json, current, patch));

    [Theory]
    [InlineData("""[{"op":"add","path":"/spec/x/y","value":1}]""", 422, "patch operation 0 (add /spec/x/y): /spec has no member \"x\"")]
    [InlineData("""[{"op":"test","path":"/spec/n","value":1},{"op":"test","path":"/spec/n","value":2}]""", 422, "patch operation 1 (test /spec/n): the value is 1, not 2")]
    [InlineData("""[{"op":"remove","path":"/spec/list/3"}]""", 422, "patch operation 0 (remove /spec/list/3): /spec/list takes an index from 0 to 1, not \"3\"")]
    [InlineData("""[{"op":"replace","path":"/spec/list/01","value":1}]""", 422, "patch operation 0 (replace /spec/list/01): /spec/list takes an index from 0 to 1, not \"01\"")]
    [InlineData("""[{"op":"remove","path":"/spec/list/-"}]""", 422, "patch operation 0 (remove /spec/list/-): /spec/list takes an index from 0 to 1, not \"-\"")]
    [InlineData("""[{"op":"replace","path":"/spec/m","value":1}]""", 422, "patch operation 0 (replace /spec/m): /spec has no member \"m\"")]
    [InlineData("""[{"op":"add","path":"/spec/n/x","value":1}]""", 422, "patch operation 0 (add /spec/n/x): /spec/n is neither an object nor a list")]
    [InlineData("""[{"op":"move","from":"/spec","path":"/spec/x"}]""", 422, "patch operation 0 (move /spec/x): a value cannot be moved into itself")]
    [InlineData("""[{"op":"replace","path":"","value":[]}]""", 422, "the patched object is no JSON object")]
    [InlineData("""[{"op":"add","path":"spec","value":1}]""", 400, "patch operation 0 (add spec): \"spec\" is no JSON pointer (RFC 6901)")]
    [InlineData("""[{"op":"add","path":"/a~2","value":1}]""", 400, "patch operation 0 (add /a~2): \"/a~2\" is no JSON pointer (RFC 6901)")]
    [InlineData("""[{"op":"add","path":"/a"}]""", 400, "patch operation 0 (add /a): needs a value")]
    [InlineData("""[{"op":"put","path":"/a"}]""", 400, "patch operation 0 (put /a): op must be add, remove, replace, move, copy or test")]
    [InlineData("""[{"path":"/a"}]""", 400, "patch operation 0: needs a member \"op\" that is a string")]
    [InlineData("""[7]""", 400, "patch operation 0: must be a JSON object")]
    [InlineData("""{"a":1}""", 400, "a JSON patch must be a list of operations (RFC 6902)")]
    [InlineData("""[{]""", 400, "the patch is no valid JSON at line 1, byte 3")]
    public void Json_patch_errors_name_operation_and_path(string patch, int code, string message)
    {
        var refused = Assert.Throws<ApiException>(() => Apply(PatchKind.Json, """{"spec":{"n":1,"list":["a","b"]}}""", patch));
        Assert.StartsWith(message, refused.Status.Message);
        Assert.Equal(code, refused.Code);
    }

    [Fact]
    public void Json_patch_is_bounded()
    {
        var doubling = string.Join(",", Enumerable.Range(0, 60).Select(i => $$"""{"op":"copy","from":"/a","path":"/a/c{{i}}"}"""));
        Assert.Equal(413, Assert.Throws<ApiException>(() => Apply(PatchKind.Json, """{"a":{"b":"x"}}""", $"[{doubling}]")).Code);

        var chain = string.Join("", Enumerable.Repeat("{\"x\":", 100)) + "1" + new string('}', 100);
        var path = string.Concat(Enumerable.Repeat("/x", 99));
        Assert.Equal(413, Assert.Throws<ApiException>(() => Apply(PatchKind.Json, """{"a":1}""", $$"""[{"op":"add","path":"/x","value":{{chain}}},{"op":"add","path":"/y","value":{{chain}}},{"op":"move","from":"/y","path":"{{path}}"}]""")).Code);
    }

    // RFC 7386, appendix A, where target and patch are objects.
    [Theory]
    [InlineData("""{"a":"b"}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"b"}""", """{"b":"c"}""", """{"a":"b","b":"c"}""")]
    [InlineData("""{"a":"b"}""", """{"a":null}""", "{}")]
    [InlineData("""{"a":"b","b":"c"}""", """{"a":null}""", """{"b":"c"}""")]
    [InlineData("""{"a":["b"]}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"c"}""", """{"a":["b"]}""", """{"a":["b"]}""")]
    [InlineData("""{"a":{"b":"c"}}""", """{"a":{"b":"d","c":null}}""", """{"a":{"b":"d"}}""")]
    [InlineData("""{"a":[{"b":"c"}]}""", """{"a":[1]}""", """{"a":[1]}""")]
    [InlineData("""{"e":null}""", """{"a":1}""", """{"e":null,"a":1}""")]
    [InlineData("{}", """{"a":{"bb":{"ccc":null}}}""", """{"a":{"bb":{}}}""")]
    public void Merge_patch(string current, string patch, string result) => Same(result, Apply(PatchKind.Merge, current, patch));

    [Fact]
    public void A_merge_patch_that_is_no_object_is_refused() =>
        Assert.Equal(400, Assert.Throws<ApiException>(() => Apply(PatchKind.Merge, "{}", "[1]")).Code);

    [Theory]
    // Elements are found by merge key; the order is kept and new ones go to the end.
    [InlineData("""{"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}]}""", """{"containers":[{"name":"b","image":"2"},{"name":"c"}]}""", """{"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"},{"name":"c"}]}""")]
    [InlineData("""{"containers":[{"name":"a","image":"1"},{"name":"b"}]}""", """{"containers":[{"name":"a","$patch":"delete"}]}""", """{"containers":[{"name":"b"}]}""")]
    [InlineData("""{"containers":[{"name":"a","image":"1"},{"name":"b"}]}""", """{"containers":[{"$patch":"replace"},{"name":"c"}]}""", """{"containers":[{"name":"c"}]}""")]
    [InlineData("""{"containers":[{"name":"a","image":"1"}]}""", """{"containers":[{"name":"a","$patch":"merge","args":["x"]}]}""", """{"containers":[{"name":"a","image":"1","args":["x"]}]}""")]
    [InlineData("""{"containers":[{"name":"a","image":"1"}]}""", """{"containers":[{"name":"a","$patch":"replace"}]}""", """{"containers":[]}""")]
    // Lists without a merge strategy are replaced.
    [InlineData("""{"containers":[{"name":"a","args":["x","y"]}]}""", """{"containers":[{"name":"a","args":["z"]}]}""", """{"containers":[{"name":"a","args":["z"]}]}""")]
    [InlineData("""{"tolerations":[{"key":"a"}]}""", """{"tolerations":[{"key":"b"}]}""", """{"tolerations":[{"key":"b"}]}""")]
    // Objects.
    [InlineData("""{"securityContext":{"runAsUser":1}}""", """{"securityContext":{"$patch":"replace","runAsGroup":2}}""", """{"securityContext":{"runAsGroup":2}}""")]
    [InlineData("""{"securityContext":{"runAsUser":1}}""", """{"securityContext":{"$patch":"delete"}}""", """{"securityContext":{}}""")]
    [InlineData("""{"nodeSelector":{"a":"1","b":"2"}}""", """{"nodeSelector":{"a":null,"c":"3"}}""", """{"nodeSelector":{"b":"2","c":"3"}}""")]
    [InlineData("""{}""", """{"nodeSelector":{"a":null,"c":"3"},"hostname":null}""", """{"nodeSelector":{"c":"3"}}""")]
    // $retainKeys: what it does not name goes away.
    [InlineData("""{"volumes":[{"name":"v","emptyDir":{}}]}""", """{"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]}""", """{"volumes":[{"name":"v","hostPath":{"path":"/x"}}]}""")]
    // $setElementOrder.
    [InlineData("""{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}""", """{"$setElementOrder/containers":[{"name":"b"},{"name":"a"},{"name":"c"}],"containers":[{"name":"c"}]}""", """{"containers":[{"name":"s"},{"name":"b"},{"name":"a"},{"name":"c"}]}""")]
    [InlineData("""{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}""", """{"$setElementOrder/containers":[{"name":"a"},{"name":"b"}]}""", """{"containers":[{"name":"a"},{"name":"s"},{"name":"b"}]}""")]
    [InlineData("""{"containers":[{"name":"a"},{"name":"b"}]}""", """{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"a","image":"2"}]}""", """{"containers":[{"name":"b"},{"name":"a","image":"2"}]}""")]
    [InlineData("""{}""", """{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a","env":[{"name":"E","$patch":"delete"},{"name":"F","value":"1"}]}]}""", """{"containers":[{"name":"a","env":[{"name":"F","value":"1"}]}]}""")]
    public void Strategic_merge_of_a_pod_spec(string current, string patch, string result) =>
        Same($$"""{"spec":{{result}}}""", Apply(PatchKind.Strategic, $$"""{"spec":{{current}}}""", $$"""{"spec":{{patch}}}"""));

    [Theory]
    [InlineData("""["a","b"]""", """{"finalizers":["b","c"]}""", """["a","b","c"]""")]
    [InlineData("""["a","b"]""", """{"$deleteFromPrimitiveList/finalizers":["a"]}""", """["b"]""")]
    [InlineData("""["a","b","s"]""", """{"$deleteFromPrimitiveList/finalizers":["a"],"$setElementOrder/finalizers":["c","b"],"finalizers":["c"]}""", """["c","b","s"]""")]
    public void Strategic_merge_of_lists_of_scalars(string current, string patch, string result) =>
        Same($$$"""{"metadata":{"finalizers":{{{result}}}}}""", Apply(PatchKind.Strategic, $$$"""{"metadata":{"finalizers":{{{current}}}}}""", $$"""{"metadata":{{patch}}}"""));

    [Theory]
    [InlineData("""{"spec":{"containers":[{"image":"x"}]}}""", 400, "strategic merge patch, spec.containers[0]: an element needs its merge key \"name\"")]
    [InlineData("""{"spec":{"containers":["x"]}}""", 400, "strategic merge patch, spec.containers[0]: an element must be a JSON object")]
    [InlineData("""{"spec":{"$patch":"mrege"}}""", 400, "strategic merge patch, spec: $patch must be merge, replace or delete")]
    [InlineData("""{"spec":{"$patch":7}}""", 400, "strategic merge patch, spec: $patch must be merge, replace or delete")]
    [InlineData("""{"spec":{"$retainKeys":["a"],"hostname":"x"}}""", 400, "strategic merge patch, spec: the patch sets \"hostname\", which its $retainKeys does not name")]
    [InlineData("""{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"b"}]}}""", 400, "strategic merge patch, spec.containers: the patch adds \"b\", which its $setElementOrder does not name")]
    [InlineData("""{"spec":{"$setElementOrder/containers":[{"nme":"a"}]}}""", 400, "strategic merge patch, spec.containers: $setElementOrder must name the \"name\" of each element")]
    [InlineData("""{"spec":{"$deleteFromPrimitiveList/tolerations":["a"]}}""", 400, "strategic merge patch, spec.tolerations: the list has no merge strategy: a patch gives it whole")]
    [InlineData("""7""", 400, "a strategic merge patch must be a JSON object")]
    public void Strategic_merge_errors_name_the_path(string patch, int code, string message)
    {
        var refused = Assert.Throws<ApiException>(() => Apply(PatchKind.Strategic, """{"spec":{"tolerations":[],"containers":[{"name":"a"}]}}""", patch));
        Assert.Equal(message, refused.Status.Message);
        Assert.Equal(code, refused.Code);
    }

    [Fact]
    public void A_strategy_of_replace_replaces_the_object()
    {
        var type = TypeTable.Kind("policy", "v1", "PodDisruptionBudget");
        var result = Patches.Apply(PatchKind.Strategic, type, """{"spec":{"selector":{"matchLabels":{"a":"1"}}}}"""u8.ToArray(), """{"spec":{"selector":{"matchLabels":{"b":"2"}}}}"""u8.ToArray());
        Same("""{"spec":{"selector":{"matchLabels":{"b":"2"}}}}""", Encoding.UTF8.GetString(result));
    }

    [Fact]
    public void Strategic_merge_of_a_kind_in_no_table_is_answered_with_415() =>
        Assert.Equal(415, Assert.Throws<ApiException>(() => Patches.Apply(PatchKind.Strategic, TypeTable.Unknown, "{}"u8.ToArray(), "{}"u8.ToArray())).Code);

    private static string Apply(PatchKind kind, string current, string patch) =>
        Encoding.UTF8.GetString(Patches.Apply(kind, TypeTable.Kind("", "v1", "Pod"), Encoding.UTF8.GetBytes(current), Encoding.UTF8.GetBytes(patch)));

    private static void Same(string expected, string found)
    {
        if (!JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(found)))
        {
            Assert.Equal(expected, found);
        }
    }
}
