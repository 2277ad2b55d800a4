using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.Protobuf;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.ApiServer;

public sealed class ProtobufTests
{
    // The public wire fixtures of Kubernetes: beside the repository where they are present.
    private static readonly string Fixtures = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "..", "..", "..", "shared", "kubernetes", "wire-fixtures"));

    [Fact]
    public void Fixtures_decode_to_their_JSON_and_encode_to_what_decodes_the_same()
    {
        Assert.SkipUnless(Directory.Exists(Fixtures), "the public wire fixtures are not beside the repository");
        var files = Directory.GetFiles(Fixtures, "*.pb");
        Assert.NotEmpty(files);
        foreach (var file in files)
        {
            var wanted = JsonNode.Parse(File.ReadAllBytes(Path.ChangeExtension(file, ".json")))!;
            // An alpha field that the table, of a later version, does not have.
            var alpha = wanted["status"]?["nodeAllocatableResourceClaimStatuses"]?[0]?.AsObject().Remove("resources") == true;
            var decoded = ProtobufCodec.ToJson(File.ReadAllBytes(file));
            Equal(wanted, JsonNode.Parse(decoded)!, Path.GetFileName(file));
            Equal(wanted, JsonNode.Parse(ProtobufCodec.ToJson(ProtobufCodec.FromJson(Encoding.UTF8.GetBytes(wanted.ToJsonString()))!))!, Path.GetFileName(file));
            if (!alpha)
            {
                Assert.Equal(File.ReadAllBytes(file), ProtobufCodec.FromJson(decoded));
            }
        }
    }

    [Theory]
    [InlineData("apps.v1.Deployment")]
    [InlineData("core.v1.Pod")]
    [InlineData("core.v1.Service")]
    [InlineData("core.v1.Secret")]
    [InlineData("batch.v1.CronJob")]
    [InlineData("networking.v1.Ingress")]
    [InlineData("autoscaling.v2.HorizontalPodAutoscaler")]
    [InlineData("authorization.v1.SelfSubjectAccessReview")]
    [InlineData("rbac.v1.ClusterRole")]
    [InlineData("coordination.v1.Lease")]
    [InlineData("apiextensions.v1.CustomResourceDefinition")]
    [InlineData("declarative.v1.TrafficReport")]
    public void Random_objects_survive_both_ways(string typeName)
    {
        var type = TypeTable.Type(typeName)!;
        var (group, version, kind) = TypeNames.KindOf(typeName);
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(200), Prop.ForAll(ArbitraryObject.Of(type).ToArbitrary(), made =>
        {
            var value = made.DeepClone().AsObject();
            value["apiVersion"] = group.Length == 0 ? version : $"{group}/{version}";
            value["kind"] = kind;
            var json = Encoding.UTF8.GetBytes(value.ToJsonString());
            Assert.Empty(SchemaCheck.Check(type, json, FieldValidation.Strict).Errors);
            return JsonNode.DeepEquals(value, JsonNode.Parse(ProtobufCodec.ToJson(ProtobufCodec.FromJson(json)!)));
        }));
    }

    [Fact]
    public void Zeros_that_were_never_set_are_left_out_and_those_that_were_meant_are_kept()
    {
        var json = """{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":0,"minReadySeconds":0,"paused":false,"strategy":{"type":"","rollingUpdate":{"maxUnavailable":0}},"template":{"spec":{"hostNetwork":false,"automountServiceAccountToken":false,"hostname":"","containers":[{"name":"a","image":"","readinessProbe":{"timeoutSeconds":0},"volumeMounts":[],"resources":{}}]}}}}""";
        Same(
            """{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":0,"strategy":{"rollingUpdate":{"maxUnavailable":0}},"template":{"spec":{"automountServiceAccountToken":false,"containers":[{"name":"a","readinessProbe":{},"resources":{}}]}}}}""",
            ProtobufCodec.ToJson(ProtobufCodec.FromJson(Encoding.UTF8.GetBytes(json))!));
        Same(
            """{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":80}]}}""",
            ProtobufCodec.ToJson(ProtobufCodec.FromJson("""{"apiVersion":"v1","kind":"Service","spec":{"ports":[{"port":80,"targetPort":0,"nodePort":0}],"publishNotReadyAddresses":false}}"""u8.ToArray())!));
    }

    [Fact]
    public void Lists_have_metadata_and_items()
    {
        var list = ProtobufCodec.FromJson("""{"apiVersion":"v1","kind":"PodList","metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}"""u8.ToArray())!;
        var text = Encoding.UTF8.GetString(list);
        Assert.StartsWith("k8s\0", text, StringComparison.Ordinal);
        Assert.Contains("PodList", text);
        Assert.Null(ProtobufCodec.FromJson("""{"apiVersion":"example.org/v1","kind":"Widget"}"""u8.ToArray()));
    }

    [Theory]
    [InlineData("7b7d", 400, "does not begin with the bytes")]
    [InlineData("6b3873000a", 400, "cut off")]
    [InlineData("6b3873000a7f", 400, "127 bytes announced")]
    [InlineData("6b387300", 415, "no protobuf form")]
    [InlineData("6b3873000a090a02763112035061641200", 415, "v1 Pad")]
    [InlineData("6b3873000a090a027631120350 6f641202 0aff", 400, "cut off")]
    [InlineData("6b3873000a090a02763112035 06f641206 0a040a02fffe", 400, "not UTF-8")]
    [InlineData("6b3873000a090a027631120350 6f641202 0805", 400, "wire type 0 for a value of type meta.v1.ObjectMeta")]
    public void A_body_that_is_none_is_refused(string hex, int code, string message)
    {
        var refused = Assert.Throws<ApiException>(() => ProtobufCodec.ToJson(Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal))));
        Assert.Contains(message, refused.Status.Message);
        Assert.Equal(code, refused.Code);
    }

    [Fact]
    public void Arbitrary_bytes_are_decoded_or_refused_and_never_more()
    {
        List<byte[]> seeds =
        [
            ProtobufCodec.FromJson("""{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","labels":{"a":"b"},"creationTimestamp":"2026-11-20T09:09:21Z"},"spec":{"containers":[{"name":"x","env":[{"name":"E","value":"1"}],"resources":{"limits":{"cpu":"1"}}}]}}"""u8.ToArray())!,
            ProtobufCodec.FromJson("""{"apiVersion":"apps/v1","kind":"Deployment","spec":{"replicas":1,"strategy":{"rollingUpdate":{"maxSurge":"25%"}}}}"""u8.ToArray())!,
            ProtobufCodec.FromJson("""{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","spec":{"versions":[{"schema":{"openAPIV3Schema":{"properties":{"a":{"not":{"type":"string","default":1}}}}}}]}}"""u8.ToArray())!,
        ];
        byte[][] pieces = [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], [0x0a, 0xff, 0xff, 0xff, 0xff, 0x07], [0x0b], [0x0c], [0x00], [0x08, 0x80], new byte[300], [0xed, 0xa0, 0x80]];
        var (decoded, refused) = (0, 0);
        Declarative.Tests.Api.Fuzz.Holds(Declarative.Tests.Api.Fuzz.Mutated(seeds, pieces), bytes =>
        {
            try
            {
                JsonTree.Parse(ProtobufCodec.ToJson(bytes));
                decoded++;
                return true;
            }
            catch (ApiException e)
            {
                refused++;
                return e.Code is 400 or 415;
            }
        });
        Assert.True(decoded > 1000 && refused > 1000, $"{decoded} decoded, {refused} refused");
    }

    [Fact]
    public void Messages_within_messages_end_at_a_depth()
    {
        // JSONSchemaProps.not = 28: as many within one another as a body has room for would take the stack.
        byte[] schema = [];
        for (var i = 0; i < 2_000; i++) schema = Inside(28, schema);
        var body = Inside(2, Inside(7, Inside(4, Inside(1, schema))));
        byte[] type = [.. Inside(1, "apiextensions.k8s.io/v1"u8.ToArray()), .. Inside(2, "CustomResourceDefinition"u8.ToArray())];
        var refused = Assert.Throws<ApiException>(() => ProtobufCodec.ToJson([.. "k8s\0"u8, .. Inside(1, type), .. Inside(2, body)]));
        Assert.Contains("levels deep", refused.Status.Message, StringComparison.Ordinal);

        static byte[] Inside(int field, byte[] message) => [.. Varint((uint)(field << 3) | 2), .. Varint((uint)message.Length), .. message];

        static byte[] Varint(uint value)
        {
            var bytes = new List<byte>();
            for (; value > 127; value >>= 7) bytes.Add((byte)(value | 128));
            bytes.Add((byte)value);
            return [.. bytes];
        }
    }

    private static void Same(string expected, byte[] found) => Equal(JsonNode.Parse(expected)!, JsonNode.Parse(found)!, "");

    private static void Equal(JsonNode expected, JsonNode found, string what)
    {
        if (!JsonNode.DeepEquals(expected, found))
        {
            Assert.Equal(what + expected.ToJsonString(), what + found.ToJsonString());
        }
    }

    private static string Here([CallerFilePath] string path = "") => path;
}
