using System.Text;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Xunit;

namespace Declarative.Tests.Api;

public sealed class SchemaCheckTests
{
    [Fact]
    public void What_has_become_empty_goes_where_Kubernetes_writes_no_empty_lists()
    {
        const string Json = """{"metadata":{"name":"p","finalizers":[],"labels":{},"ownerReferences":[]},"spec":{"tolerations":[],"nodeSelector":{},"volumes":[{"name":"v","emptyDir":{}}],"containers":[]}}""";
        Assert.Equal("""{"metadata":{"name":"p"},"spec":{"volumes":[{"name":"v","emptyDir":{}}],"containers":[]}}""",
            Text(SchemaCheck.Check(TypeTable.Kind("", "v1", "Pod"), Encoding.UTF8.GetBytes(Json), FieldValidation.Strict)));
        Assert.Equal("""{"metadata":{"name":"s"},"endpoints":[]}""",
            Text(SchemaCheck.Check(TypeTable.Kind("discovery.k8s.io", "v1", "EndpointSlice"), """{"metadata":{"name":"s"},"endpoints":[]}"""u8, FieldValidation.Strict)));
    }

    [Fact]
    public void The_result_has_apiVersion_kind_and_metadata_first_and_no_white_space_and_no_nulls()
    {
        var checked1 = Deployment(
            """
            { "status": null, "spec": {"replicas": 3, "paused": null, "template": {}},
              "kind": "Deployment", "metadata": {"name": "web", "creationTimestamp": null}, "apiVersion": "apps/v1" }
            """);
        Assert.Equal("""{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":3,"template":{}}}""", Text(checked1));
    }

    [Fact]
    public void A_wrong_type_names_path_expected_and_found()
    {
        var error = Assert.Single(Deployment("""{"spec":{"replicas":"three"}}""").Errors);
        Assert.Equal("""spec.replicas: expected an integer (int32), found the string "three" """.TrimEnd(), error.ToString());
        Assert.Equal(FieldErrorKind.WrongType, error.Kind);
    }

    [Theory]
    [InlineData("""{"spec":{"replicas":3.5}}""", "spec.replicas: expected an integer (int32), found the number 3.5")]
    [InlineData("""{"spec":{"replicas":3000000000}}""", "spec.replicas: expected an integer (int32), found the number 3000000000")]
    [InlineData("""{"spec":{"paused":"true"}}""", "spec.paused: expected true or false, found the string \"true\"")]
    [InlineData("""{"spec":{"template":[]}}""", "spec.template: expected an object, found a list")]
    [InlineData("""{"spec":{"template":{"spec":{"containers":{}}}}}""", "spec.template.spec.containers: expected a list, found an object")]
    [InlineData("""{"spec":{"template":{"spec":{"containers":[{"name":"a"},7]}}}}""", "spec.template.spec.containers[1]: expected an object, found the number 7")]
    [InlineData("""{"metadata":{"labels":{"a.b/c":1}}}""", "metadata.labels[a.b/c]: expected a string, found the number 1")]
    [InlineData("""{"metadata":{"labels":{"app":true}}}""", "metadata.labels.app: expected a string, found true")]
    [InlineData("""{"metadata":{"creationTimestamp":"yesterday"}}""", "metadata.creationTimestamp: expected a time such as 2026-01-31T09:30:00Z (RFC 3339), found the string \"yesterday\"")]
    [InlineData("""{"spec":{"strategy":{"rollingUpdate":{"maxSurge":1.5}}}}""", "spec.strategy.rollingUpdate.maxSurge: expected an integer (int32) or a string, found the number 1.5")]
    [InlineData("""{"spec":{"template":{"spec":{"containers":[{"resources":{"limits":{"cpu":"1x"}}}]}}}}""", "spec.template.spec.containers[0].resources.limits.cpu: expected a quantity such as 100m, 1.5 or 64Mi, found the string \"1x\"")]
    [InlineData("""[]""", "expected an object, found a list")]
    public void Wrong_types_are_errors_in_every_mode(string json, string message)
    {
        foreach (var mode in Enum.GetValues<FieldValidation>())
        {
            var result = Deployment(json, mode);
            Assert.Null(result.Json);
            Assert.Equal(message, Assert.Single(result.Errors).ToString());
        }
    }

    [Fact]
    public void Unknown_fields_are_errors_warnings_or_nothing_and_never_stored()
    {
        const string Json = """{"spec":{"replicass":3,"replicas":2,"template":{"spec":{"containers":[{"Image":"x","zzzzzz":{"a":[1]}}]}}}}""";
        string[] findings =
        [
            "unknown field \"spec.replicass\" (did you mean \"replicas\"?)",
            "unknown field \"spec.template.spec.containers[0].Image\" (did you mean \"image\"?)",
            "unknown field \"spec.template.spec.containers[0].zzzzzz\"",
        ];
        var strict = Deployment(Json, FieldValidation.Strict);
        Assert.Equal(findings, strict.Errors.Select(x => x.ToString()));
        Assert.Null(strict.Json);
        Assert.StartsWith("strict decoding error: unknown field", strict.Summary());

        var warn = Deployment(Json, FieldValidation.Warn);
        Assert.Equal(findings, warn.Warnings.Select(x => x.ToString()));
        var ignore = Deployment(Json, FieldValidation.Ignore);
        Assert.Empty(ignore.Warnings);
        Assert.Equal("""{"spec":{"replicas":2,"template":{"spec":{"containers":[{}]}}}}""", Text(warn));
        Assert.Equal(Text(warn), Text(ignore));
    }

    [Fact]
    public void Of_duplicates_the_last_counts_unless_strict()
    {
        const string Json = """{"spec":{"replicas":1,"paused":true,"replicas":2},"metadata":{"labels":{"a":"1","b":"2","a":"3"}}}""";
        var strict = Deployment(Json, FieldValidation.Strict);
        Assert.Equal(["duplicate field \"spec.replicas\"", "duplicate field \"metadata.labels.a\""], strict.Errors.Select(x => x.ToString()));
        var warn = Deployment(Json, FieldValidation.Warn);
        Assert.Equal(2, warn.Warnings.Count);
        Assert.Equal("""{"metadata":{"labels":{"a":"3","b":"2"}},"spec":{"replicas":2,"paused":true}}""", Text(warn));
        Assert.Equal(Text(warn), Text(Deployment(Json, FieldValidation.Ignore)));
    }

    [Fact]
    public void Duplicates_are_found_in_maps_of_many_keys_and_behind_escapes()
    {
        var many = string.Join(",", Enumerable.Range(0, 500).Select(i => $"\"k{i}\":\"v\""));
        var result = Deployment($$$"""{"metadata":{"annotations":{ {{{many}}},"\u006b42":"again"} }}""", FieldValidation.Strict);
        Assert.Equal("duplicate field \"metadata.annotations.k42\"", Assert.Single(result.Errors).ToString());
    }

    [Fact]
    public void Of_kinds_in_no_table_everything_is_kept_but_metadata_is_checked()
    {
        var result = SchemaCheck.Check(TypeTable.Kind("example.org", "v1", "Widget"), """{"spec":{"a":null,"b":[1,{"c":1e3}]},"metadata":{"name":"w","nme":1},"kind":"Widget","x":1}"""u8, FieldValidation.Warn);
        Assert.Equal("""{"kind":"Widget","metadata":{"name":"w"},"spec":{"a":null,"b":[1,{"c":1e3}]},"x":1}""", Text(result));
        Assert.Equal("unknown field \"metadata.nme\" (did you mean \"name\"?)", Assert.Single(result.Warnings).ToString());

        var twice = SchemaCheck.Check(TypeTable.Unknown, """{"spec":1,"spec":2}"""u8, FieldValidation.Strict);
        Assert.Equal("duplicate field \"spec\"", Assert.Single(twice.Errors).ToString());
    }

    [Fact]
    public void A_null_in_a_list_or_map_is_the_zero_value()
    {
        Assert.Equal(
            """{"metadata":{"labels":{"a":""}},"spec":{"template":{"spec":{"containers":[{"args":["x",""],"resources":{"limits":{"cpu":"0"}}},{}]}}}}""",
            Text(Deployment("""{"metadata":{"labels":{"a":null}},"spec":{"template":{"spec":{"containers":[{"args":["x",null],"resources":{"limits":{"cpu":null}}},null]}}}}""")));
    }

    [Theory]
    [InlineData("2026-11-20T09:09:21Z", "2026-11-20T09:09:21Z")]
    [InlineData("2026-11-20T09:09:21.987Z", "2026-11-20T09:09:21Z")]
    [InlineData("2026-11-20T00:30:00+02:00", "2026-11-19T22:30:00Z")]
    [InlineData("2024-02-29T23:59:59-00:30", "2024-03-01T00:29:59Z")]
    public void Times_are_stored_in_UTC_and_whole_seconds(string given, string stored) =>
        Assert.Equal($$$"""{"metadata":{"creationTimestamp":"{{{stored}}}"}}""", Text(Deployment($$$"""{"metadata":{"creationTimestamp":"{{{given}}}"}}""")));

    [Fact]
    public void Micro_times_have_six_decimals()
    {
        var lease = TypeTable.Kind("coordination.k8s.io", "v1", "Lease");
        Assert.Equal("""{"spec":{"renewTime":"2026-11-20T09:09:21.500000Z"}}""", Text(SchemaCheck.Check(lease, """{"spec":{"renewTime":"2026-11-20T10:09:21.5+01:00"}}"""u8, FieldValidation.Strict)));
        Assert.Equal("""{"spec":{"renewTime":"2026-11-20T09:09:21.123456Z"}}""", Text(SchemaCheck.Check(lease, """{"spec":{"renewTime":"2026-11-20T09:09:21.123456Z"}}"""u8, FieldValidation.Strict)));
    }

    [Theory]
    [InlineData("0", true)]
    [InlineData("+1.5Gi", true)]
    [InlineData("-.5", true)]
    [InlineData("1.", true)]
    [InlineData("1e3", true)]
    [InlineData("1E-3", true)]
    [InlineData("1E", true)]
    [InlineData("100m", true)]
    [InlineData("", false)]
    [InlineData(".", false)]
    [InlineData("1e", false)]
    [InlineData("1ki", false)]
    [InlineData("1.2.3", false)]
    [InlineData("1 Gi", false)]
    [InlineData("1mi", false)]
    public void Quantities(string text, bool valid) => Assert.Equal(valid, JsonFormats.IsQuantity(Encoding.UTF8.GetBytes(text)));

    [Theory]
    [InlineData("0", true)]
    [InlineData("1h2m3.5s", true)]
    [InlineData("-1.5ms", true)]
    [InlineData("10µs", true)]
    [InlineData("", false)]
    [InlineData("10", false)]
    [InlineData("1d", false)]
    [InlineData("s", false)]
    public void Durations(string text, bool valid) => Assert.Equal(valid, JsonFormats.IsDuration(Encoding.UTF8.GetBytes(text)));

    [Fact]
    public void Bytes_must_be_base64_and_quantities_given_as_numbers_become_strings()
    {
        var secret = TypeTable.Kind("", "v1", "Secret");
        Assert.Equal("""{"data":{"k":"aGk="}}""", Text(SchemaCheck.Check(secret, """{"data":{"k":"aGk="}}"""u8, FieldValidation.Strict)));
        var error = Assert.Single(SchemaCheck.Check(secret, """{"data":{"k":"hi!"}}"""u8, FieldValidation.Strict).Errors);
        Assert.Equal("data.k: expected a string in base64, found the string \"hi!\"", error.ToString());
        Assert.Equal("""{"spec":{"hard":{"cpu":"2","pods":"0.5"}}}""", Text(SchemaCheck.Check(TypeTable.Kind("", "v1", "ResourceQuota"), """{"spec":{"hard":{"cpu":2,"pods":0.5}}}"""u8, FieldValidation.Strict)));
    }

    [Theory]
    [InlineData("", "no valid JSON at line 1")]
    [InlineData("{", "no valid JSON at line 1, byte 2")]
    [InlineData("{\n \"a\" 1}", "no valid JSON at line 2, byte 6")]
    [InlineData("{} x", "no valid JSON at line 1, byte 4")]
    [InlineData("{\"metadata\":{\"name\":\"\\ud800\"}}", "surrogate")]
    public void What_is_no_JSON_says_where(string json, string message)
    {
        var error = Assert.Single(Deployment(json).Errors);
        Assert.Equal(FieldErrorKind.Malformed, error.Kind);
        Assert.Contains(message, error.ToString());
    }

    [Fact]
    public void Depth_and_size_are_bounded()
    {
        var deep = new string('[', 200) + new string(']', 200);
        Assert.Equal(FieldErrorKind.TooDeep, Assert.Single(SchemaCheck.Check(TypeTable.Unknown, Encoding.UTF8.GetBytes($$"""{"spec":{{deep}}}"""), FieldValidation.Warn).Errors).Kind);
        var large = SchemaCheck.Check(TypeTable.Kind("", "v1", "ConfigMap"), Encoding.UTF8.GetBytes($$$"""{"data":{"a":"{{{new string('x', Limits.ObjectBytesMax)}}}"}}"""), FieldValidation.Warn);
        Assert.Equal(413, Assert.Throws<ApiException>(() => large.Accepted("v1", "ConfigMap")).Code);
        Assert.Equal(FieldErrorKind.Malformed, Assert.Single(SchemaCheck.Check(TypeTable.Unknown, [(byte)'{', (byte)'"', 0xff, (byte)'"', (byte)':', (byte)'1', (byte)'}'], FieldValidation.Warn).Errors).Kind);
    }

    [Fact]
    public void Alternatives_are_told_apart_by_their_JSON()
    {
        var crd = TypeTable.Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        const string Json = """{"spec":{"versions":[{"schema":{"openAPIV3Schema":{"additionalProperties":false,"items":{"type":"string"},"default":[null,{"a":1}]}}}]}}""";
        Assert.Equal(Json, Text(SchemaCheck.Check(crd, Encoding.UTF8.GetBytes(Json), FieldValidation.Strict)));
        Assert.Contains("expected true or false or an object", Assert.Single(SchemaCheck.Check(crd, Encoding.UTF8.GetBytes(Json.Replace("false", "7")), FieldValidation.Strict).Errors).ToString());
    }

    [Fact]
    public void A_checked_object_is_a_fixed_point()
    {
        const string Json = """{"kind":"Pod","spec":{"containers":[{"name":"a\u0062","env":[{"name":"X","value":"\"q\"\n\u0001é\u20ac"}]}]}}""";
        var pod = TypeTable.Kind("", "v1", "Pod");
        var once = SchemaCheck.Check(pod, Encoding.UTF8.GetBytes(Json), FieldValidation.Strict).Json!;
        Assert.Equal("""{"kind":"Pod","spec":{"containers":[{"name":"ab","env":[{"name":"X","value":"\"q\"\n\u0001é€"}]}]}}""", Encoding.UTF8.GetString(once));
        Assert.Equal(once, SchemaCheck.Check(pod, once, FieldValidation.Strict).Json);
    }

    private static Checked Deployment(string json, FieldValidation mode = FieldValidation.Strict) =>
        SchemaCheck.Check(TypeTable.Kind("apps", "v1", "Deployment"), Encoding.UTF8.GetBytes(json), mode);

    private static string Text(Checked result)
    {
        Assert.Empty(result.Errors);
        return Encoding.UTF8.GetString(result.Json!);
    }
}
