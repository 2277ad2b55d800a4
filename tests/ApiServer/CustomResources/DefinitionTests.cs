using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Wire;
using Declarative.ApiServer.CustomResources;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.ApiServer.CustomResources;

/// <summary>Definitions and their objects in process: rules, names, restart, conversion by a webhook.</summary>
public sealed class DefinitionTests
{
    private static readonly Kind V1 = new() { Group = "stable.example.com", Version = "v1", Plural = "crontabs", Name = "CronTab", Namespaced = true };
    private static readonly Kind V1Beta1 = new() { Group = "stable.example.com", Version = "v1beta1", Plural = "crontabs", Name = "CronTab", Namespaced = true };

    [Theory]
    [InlineData("image: {type: string", "image: {type: text", "Unsupported value: \"text\"")]
    [InlineData("tier: {type: string", "tier: {type: string, $ref: x", "$ref is not supported")]
    [InlineData("pattern: '^", "pattern: '(?=x)^", "must be a valid regular expression")]
    [InlineData("default: silver", "default: iron", "supported values: \"gold\", \"silver\"")]
    [InlineData("scope: Namespaced", "scope: World", "supported values: \"Cluster\", \"Namespaced\"")]
    [InlineData("storage: true", "storage: false", "exactly one version marked as storage version")]
    [InlineData("jsonPath: .spec.tier", "jsonPath: .spec.none", "must point to a string, integer or boolean field")]
    [InlineData("type: date, jsonPath: .metadata.creationTimestamp", "type: date, jsonPath: metadata", "expected \".\" or \"[\"")]
    [InlineData("group: stable.example.com", "group: other.example.com", "must be spec.names.plural+\".\"+spec.group")]
    public async Task A_wrong_definition_is_refused(string right, string wrong, string says)
    {
        await using var api = await InProcessApi.Start();
        var text = CronTab.Definition.Replace(right, wrong, StringComparison.Ordinal);
        Assert.NotEqual(CronTab.Definition, text);
        var refused = await Assert.ThrowsAsync<ApiException>(() => Create(api.Admin, Kind.CustomResourceDefinition, text));
        Assert.Contains(says, refused.Message, StringComparison.Ordinal);
    }

    /// <summary>A definition whose list has items with a rule, and the bounds of both.</summary>
    private static string Costly(string rule, string bounds, string inner = "") => $$"""
        metadata: {name: lists.example.com}
        spec:
          group: example.com
          scope: Namespaced
          names: {plural: lists, kind: List1}
          versions:
          - name: v1
            served: true
            storage: true
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  names:
                    type: array
                    {{bounds}}
                    items: {type: string, {{inner}} x-kubernetes-validations: [{rule: "{{rule}}"}]}
        """;

    [Theory]
    [InlineData("self.startsWith('a')", "maxItems: 10", "maxLength: 10,", "")]
    [InlineData("self.matches('^a+$')", "maxItems: 10", "maxLength: 100,", "")]
    [InlineData("self.matches('^a+$')", "maxItems: 1000", "", "estimated rule cost exceeds budget by factor of 31.5x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared); without a bound: self (maxLength)")]
    [InlineData("self.contains('aaaaaaaaaaaa')", "", "maxLength: 1000,", "without a bound: spec.versions[0].schema.openAPIV3Schema.properties[names] (maxItems)")]
    [InlineData("self.split(',').all(x, self.split(',').all(y, size(x) >= size(y)))", "maxItems: 1", "maxLength: 2000,", "estimated rule cost exceeds budget")]
    [InlineData("self.split(',').all(x, self.split(',').all(y, size(x) >= size(y)))", "maxItems: 1", "maxLength: 100,", "")]
    public async Task A_rule_that_could_cost_too_much_is_refused(string rule, string bounds, string inner, string says)
    {
        await using var api = await InProcessApi.Start();
        var made = Create(api.Admin, Kind.CustomResourceDefinition, Costly(rule, bounds, inner));
        if (says.Length == 0)
        {
            await made;
            return;
        }
        var refused = await Assert.ThrowsAsync<ApiException>(() => made);
        var cause = refused.Status.Causes[0];
        Assert.Equal(("spec.versions[0].schema.openAPIV3Schema.properties[names].items.x-kubernetes-validations[0].rule", "FieldValueForbidden"), (cause.Field, cause.Reason));
        Assert.Contains(says, cause.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("isSemver(self)", "undeclared reference to 'isSemver': the function is unknown or not supported here, at 1")]
    [InlineData("semver(self).major() > 1", "undeclared reference to 'semver'")]
    [InlineData("image(self).registry() == 'a'", "undeclared reference to 'image'")]
    [InlineData("math.greatest(size(self), 2) > 1", "undeclared reference to 'math'")]
    [InlineData("self.frobnicate()", "undeclared reference to 'frobnicate'")]
    public async Task A_function_that_is_not_here_is_refused_with_the_definition(string rule, string says)
    {
        await using var api = await InProcessApi.Start();
        var refused = await Assert.ThrowsAsync<ApiException>(() => Create(api.Admin, Kind.CustomResourceDefinition, Costly(rule, "maxItems: 3", "maxLength: 5,")));
        var cause = refused.Status.Causes[0];
        Assert.Equal(("spec.versions[0].schema.openAPIV3Schema.properties[names].items.x-kubernetes-validations[0].rule", "FieldValueInvalid"), (cause.Field, cause.Reason));
        Assert.Contains("compilation failed: " + says, cause.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_optional_old_value_is_none_where_an_object_is_new()
    {
        await using var api = await InProcessApi.Start();
        const string gold = "- {rule: \"self.tier != 'gold' ||";
        await Create(api.Admin, Kind.CustomResourceDefinition, CronTab.Definition.Replace(gold, "- {rule: \"oldSelf.hasValue() || self.tier == 'silver'\", optionalOldSelf: true, message: begins in silver}\n            " + gold, StringComparison.Ordinal));
        var golden = CronTab.Object.Replace("cronSpec:", "tier: gold\n  cronSpec:", StringComparison.Ordinal);
        Assert.Contains("begins in silver", (await Assert.ThrowsAsync<ApiException>(() => Create(api.Admin, V1, golden, "default"))).Message, StringComparison.Ordinal);
        await Create(api.Admin, V1, CronTab.Object, "default");
        await api.Admin.Patch(ResourceKey.Of(V1, "default", "nightly"), PatchKind.Merge, """{"spec":{"tier":"gold"}}"""u8.ToArray(), stop: TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_rule_about_what_was_is_refused_where_nothing_says_what_an_element_was()
    {
        await using var api = await InProcessApi.Start();
        var refused = await Assert.ThrowsAsync<ApiException>(() => Create(api.Admin, Kind.CustomResourceDefinition, Costly("self == oldSelf", "maxItems: 3", "maxLength: 5,")));
        Assert.Contains("oldSelf cannot be used on the uncorrelatable portion of the schema within spec.versions[0].schema.openAPIV3Schema.properties[names]", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stored_definition_with_such_a_rule_is_served()
    {
        var schema = Structural.Read((JsonObject)JsonNode.Parse("""{"type":"object","properties":{"names":{"type":"array","items":{"type":"string","x-kubernetes-validations":[{"rule":"self == oldSelf"}]}}}}""")!);
        CustomRules.Compile(schema);
        foreach (var wasStored in (bool[])[true, false])
        {
            var causes = new List<StatusCause>();
            CustomRules.CheckDefinition(schema, "s", wasStored, causes);
            Assert.Equal(wasStored, causes.Count == 0);
        }
    }

    [Fact]
    public async Task A_stored_definition_that_can_not_be_served_is_told_of_once_and_stops_nothing()
    {
        var (journal, stop) = (new MemoryJournal(), TestContext.Current.CancellationToken);
        var wrong = Yaml.ToJson(Encoding.UTF8.GetBytes(CronTab.Definition.Replace("pattern: '^", "pattern: '(?=x)^", StringComparison.Ordinal)));
        await journal.Append([new(5, new(Kind.CustomResourceDefinition, "", "crontabs.stable.example.com"), "u", wrong)], stop);
        var log = new SaidLog();
        await using var api = await InProcessApi.Start(journal, new() { Log = log });
        await Create(api.Admin, Kind.CustomResourceDefinition, Costly("self != ''", "maxItems: 3", "maxLength: 5,"));
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => api.Admin.List(new(V1, "default"), stop))).Code);
        Assert.StartsWith("Warning: CustomResourceDefinition crontabs.stable.example.com is kept, but its kind can not be served: ", Assert.Single(log.Lines), StringComparison.Ordinal);
        await api.Admin.Get(new(Kind.CustomResourceDefinition, "", "crontabs.stable.example.com"), stop: stop);
    }

    [Fact]
    public async Task Objects_and_their_kind_outlive_a_restart()
    {
        var journal = new MemoryJournal();
        var api = await InProcessApi.Start(journal);
        await Create(api.Admin, Kind.CustomResourceDefinition, CronTab.Definition);
        var made = await Create(api.Admin, V1, CronTab.Object, "default");
        await api.DisposeAsync();
        await using var again = await InProcessApi.Start(journal, seed: 2);
        var found = await again.Admin.Get(ResourceKey.Of(V1, "default", "nightly"), stop: TestContext.Current.CancellationToken);
        Assert.Equal(Encoding.UTF8.GetString(made.Json.Span), Encoding.UTF8.GetString(found.Json.Span));
        Assert.Single((await again.Admin.List(new(V1, "default"), TestContext.Current.CancellationToken)).Items);
    }

    [Fact]
    public async Task A_name_that_is_taken_is_given_when_it_is_free()
    {
        await using var api = await InProcessApi.Start();
        await Create(api.Admin, Kind.CustomResourceDefinition, CronTab.Definition);
        var second = CronTab.Definition.Replace("crontabs", "nightjobs", StringComparison.Ordinal).Replace("kind: CronTab", "kind: NightJob", StringComparison.Ordinal);
        await Create(api.Admin, Kind.CustomResourceDefinition, second);
        var key = new ResourceKey(Kind.CustomResourceDefinition, "", "nightjobs.stable.example.com");
        Assert.Equal("False", Condition(await api.Admin.Get(key, stop: TestContext.Current.CancellationToken), "NamesAccepted"));
        Assert.Equal("False", Condition(await api.Admin.Get(key, stop: TestContext.Current.CancellationToken), "Established"));
        await api.Admin.Delete(key with { Name = "crontabs.stable.example.com" }, stop: TestContext.Current.CancellationToken);
        await Seen(api.Admin, key, x => Condition(x, "Established") == "True");
    }

    [Fact]
    public async Task A_webhook_converts_between_versions()
    {
        var calls = 0;
        await using var api = await InProcessApi.Start(options: new() { Hook = Convert });
        await Create(api.Admin, Kind.CustomResourceDefinition, CronTab.Definition + """

          conversion:
            strategy: Webhook
            webhook:
              conversionReviewVersions: [v1]
              clientConfig: {url: "https://127.0.0.1:9/convert"}
        """);
        await Create(api.Admin, V1, CronTab.Object, "default");
        Assert.Equal(0, calls);
        var older = JsonNode.Parse((await api.Admin.Get(ResourceKey.Of(V1Beta1, "default", "nightly"), stop: TestContext.Current.CancellationToken)).Json.Span)!;
        Assert.Equal("stable.example.com/v1beta1", (string)older["apiVersion"]!);
        Assert.Equal("0 3 * * *", (string)older["schedule"]!);
        Assert.Equal(1, calls);

        Task<ReadOnlyMemory<byte>> Convert(Declarative.ApiServer.Admission.Webhooks.HookTarget target, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken stop)
        {
            calls++;
            var request = JsonNode.Parse(body.Span)!["request"]!;
            var converted = new JsonArray();
            foreach (var item in request["objects"]!.AsArray())
            {
                var json = (JsonObject)item!.DeepClone();
                json["apiVersion"] = request["desiredAPIVersion"]!.DeepClone();
                json["schedule"] = json["spec"]!["cronSpec"]!.DeepClone();
                json.Remove("spec");
                converted.Add(json);
            }
            var answer = new JsonObject { ["response"] = new JsonObject { ["uid"] = request["uid"]!.DeepClone(), ["result"] = new JsonObject { ["status"] = "Success" }, ["convertedObjects"] = converted } };
            return Task.FromResult<ReadOnlyMemory<byte>>(Encoding.UTF8.GetBytes(answer.ToJsonString()));
        }
    }

    private static Task<Stored> Create(IApi api, Kind kind, string yaml, string ns = "") =>
        api.Create(ResourceKey.Of(kind, ns, ""), Yaml.ToJson(Encoding.UTF8.GetBytes(yaml)), stop: TestContext.Current.CancellationToken);

    private static string Condition(Stored stored, string type) =>
        (string?)JsonNode.Parse(stored.Json.Span)!["status"]!["conditions"]!.AsArray().Single(x => (string)x!["type"]! == type)!["status"] ?? "";

    private static async Task Seen(IApi api, ResourceKey key, Func<Stored, bool> wanted)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await foreach (var happened in api.Watch(new(key.Kind) { From = 0 }, limit.Token))
        {
            if (happened.Object is { } changed && changed.Key.Name == key.Name && wanted(changed)) return;
        }
        Assert.Fail($"{key} did not become what was waited for");
    }
}
