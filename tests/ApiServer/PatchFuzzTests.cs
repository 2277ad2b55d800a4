using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.Patch;
using Declarative.ApiServer.Registry;
using Declarative.Tests.Api;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.ApiServer;

/// <summary>Patches of every kind that no client means: each is applied or refused as the client's fault, and nothing of it grows out of bounds.</summary>
public sealed class PatchFuzzTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static readonly byte[] Pod = """
        {"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"a":"b"},"finalizers":["f1","f2"],
         "managedFields":[{"manager":"kubectl","operation":"Apply","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:containers":{"k:{\"name\":\"x\"}":{".":{},"f:image":{}}}}}}]},
         "spec":{"containers":[{"name":"x","image":"i","args":["1","2"],"ports":[{"containerPort":80,"protocol":"TCP"}]},{"name":"y"}],"nodeSelector":{"a":"b"}}}
        """u8.ToArray();

    private static readonly byte[][] Json = [.. new[]
    {
        """[{"op":"add","path":"/spec/containers/-","value":{"name":"z"}},{"op":"test","path":"/metadata/name","value":"a"},{"op":"move","from":"/metadata/labels","path":"/spec/x"}]""",
        """[{"op":"copy","from":"/spec","path":"/spec/copy"},{"op":"remove","path":"/spec/containers/0"},{"op":"replace","path":"/metadata/labels/a","value":null}]""",
        """[{"op":"copy","from":"","path":"/a"},{"op":"copy","from":"","path":"/b"},{"op":"copy","from":"","path":"/c"},{"op":"copy","from":"","path":"/d"}]""",
    }.Select(Encoding.UTF8.GetBytes)];

    private static readonly byte[][] Objects = [.. new[]
    {
        """{"metadata":{"labels":{"a":null,"c":"d"}},"spec":{"containers":[{"name":"x","image":"j","$retainKeys":["name","image"]},{"$patch":"delete","name":"y"}],"$setElementOrder/containers":[{"name":"x"}]}}""",
        """{"metadata":{"$deleteFromPrimitiveList/finalizers":["f1"],"$setElementOrder/finalizers":["f2"]},"spec":{"$patch":"replace","nodeSelector":{"$patch":"merge"}}}""",
        """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"x","image":"k","ports":[{"containerPort":81}]}]}}""",
        """{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","managedFields":[{"manager":"m","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:tolerations":{"v:1":{},"i:0":{}}}}}]}}""",
    }.Select(Encoding.UTF8.GetBytes)];

    private static readonly byte[][] Pieces = [.. new[]
    {
        "null", "{", "}", "[", "]", "\"", ",", ":", "1", "\"$patch\":\"delete\",", "\"$patch\":\"replace\",", "\"$retainKeys\":[],", "\"$setElementOrder/containers\":7,", "\"name\":\"x\",", "/", "~", "~1",
        "-1", "/spec/containers/18446744073709551616", "\\ud800", "{\"name\":\"x\"},", "{\"name\":null},", "\"f:\":{},", "\"k:{\":{},", "[[[[[[[[", new string('[', 500), "é",
    }.Select(Encoding.UTF8.GetBytes)];

    [Theory]
    [InlineData(nameof(PatchKind.Json))]
    [InlineData(nameof(PatchKind.Merge))]
    [InlineData(nameof(PatchKind.Strategic))]
    [InlineData(nameof(PatchKind.Apply))]
    public void Any_patch_is_applied_or_refused(string name)
    {
        var kind = Enum.Parse<PatchKind>(name);
        var type = TypeTable.Kind("", "v1", "Pod");
        var (applied, refused) = (0, 0);
        Fuzz.Holds(Gen.Zip(Fuzz.Mutated(kind == PatchKind.Json ? Json : Objects, Pieces), Gen.Choose(0, 1)), input =>
        {
            var (patch, force) = input;
            try
            {
                var result = kind == PatchKind.Apply ? ServerSideApply.Apply(type, Pod, Decoded(patch), new FieldWriter("fuzz", "v1"), force == 1, Now) : Patches.Apply(kind, type, Pod, patch);
                JsonTree.Parse(result);
                applied++;
                return true;
            }
            catch (ApiException e)
            {
                refused++;
                return e.Code is 400 or 409 or 413 or 422;
            }
        }, Fuzz.Inputs / 4);
        Assert.True(applied > 250 && refused > 250, $"{applied} applied, {refused} refused");
    }

    // As the write path hands it on.
    private static byte[] Decoded(byte[] patch) => Canonical.Bytes(Declarative.ApiServer.Registry.Registry.Decode(Kind.Pod, patch, new()), Kind.Pod);
}
