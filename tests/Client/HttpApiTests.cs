using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Http;
using Declarative.Client.Informers;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Client;

public sealed class HttpApiTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static ResourceKey Map(string name) => ResourceKey.Of(Kind.ConfigMap, "default", name);

    [Theory]
    [InlineData("declarative")]
    [InlineData("declarative-token")]
    public async Task Both_contexts_of_the_kubeconfig_work(string context)
    {
        await using var face = await RunningFace.Start();
        using var api = new HttpApi(Kubeconfig.Load(face.Face.KubeconfigPath, context), TimeProvider.System);
        Assert.Contains((await api.List(new(Kind.Namespace), Stop)).Items, x => x.Key.Name == "default");
    }

    [Fact]
    public async Task A_server_whose_certificate_is_from_another_authority_is_not_spoken_to()
    {
        await using var face = await RunningFace.Start();
        await using var other = await RunningFace.Start();
        using var api = new HttpApi(Kubeconfig.Load(face.Face.KubeconfigPath) with { Server = new(other.Face.Url) }, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<ApiException>(() => api.List(new(Kind.Namespace), Stop));
        Assert.Equal(503, refused.Code);
        Assert.True(refused.IsRetryable);
    }

    [Fact]
    public async Task Without_credentials_the_answer_is_a_status()
    {
        await using var face = await RunningFace.Start();
        using var api = new HttpApi(Kubeconfig.Load(face.Face.KubeconfigPath) with { ClientCertificatePem = "", ClientKeyPem = "" }, TimeProvider.System);
        Assert.Contains((await Assert.ThrowsAsync<ApiException>(() => api.List(new(Kind.Secret), Stop))).Code, new[] { 401, 403 });
    }

    [Fact]
    public async Task A_server_that_is_away_is_an_outage_that_names_it()
    {
        using var api = new HttpApi(new() { Server = new("https://127.0.0.1:1") }, TimeProvider.System);
        var refused = await Assert.ThrowsAsync<ApiException>(() => api.Get(Map("a"), stop: Stop));
        Assert.True(refused.IsRetryable);
        Assert.Contains("127.0.0.1:1", refused.Message);
        await Assert.ThrowsAsync<ApiException>(async () =>
        {
            await foreach (var _ in api.Watch(new(Kind.ConfigMap), Stop)) Assert.Fail("nothing to see");
        });
    }

    [Fact]
    public async Task Warnings_of_the_server_reach_the_caller()
    {
        await using var face = await RunningFace.Start();
        using var api = new HttpApi(Kubeconfig.Load(face.Face.KubeconfigPath), TimeProvider.System);
        var warnings = new List<string>();
        await api.Create(Map("w"), """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"w"},"unknownThing":1}"""u8.ToArray(), new() { Warnings = warnings }, Stop);
        Assert.Contains("unknownThing", Assert.Single(warnings));
    }

    [Fact]
    public async Task An_informer_follows_over_https_and_survives_the_end_of_the_server()
    {
        await using var face = await RunningFace.Start();
        using var api = new HttpApi(Kubeconfig.Load(face.Face.KubeconfigPath), TimeProvider.System);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var maps = new Informer<ConfigMap>(api, Kind.ConfigMap, ConfigMap.Read, TimeProvider.System, new Random(1));
        var running = maps.Run(stop.Token);
        await maps.Synced;
        for (var i = 0; i < 50; i++) await api.Create(Map($"m{i}"), System.Text.Encoding.UTF8.GetBytes($$"""{"metadata":{"name":"m{{i}}"},"data":{"big":"{{new string('x', 3000 * (i % 7))}}"} }"""), stop: Stop);
        await Eventually.True(() => maps.ListNamespace("default").Count(x => x.Name.StartsWith('m')) == 50, "50 objects");
        Assert.Equal(18_000, maps.Get("default", "m6")!.Data["big"].Length);
        await face.Face.DisposeAsync();
        await stop.CancelAsync();
        await running;
    }

    [Fact]
    public async Task An_informer_over_https_shows_the_state_that_a_server_was_restored_to()
    {
        await using var before = await RunningFace.Start();
        await using var restored = await RunningFace.Start();
        using var first = new HttpApi(Kubeconfig.Load(before.Face.KubeconfigPath), TimeProvider.System);
        using var second = new HttpApi(Kubeconfig.Load(restored.Face.KubeconfigPath), TimeProvider.System);
        for (var i = 0; i < 50; i++) await before.Admin.Create(Map($"later-{i}"), "{}"u8.ToArray(), stop: Stop);
        await restored.Admin.Create(Map("kept"), "{}"u8.ToArray(), stop: Stop);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        using var cut = new CancellationTokenSource();
        var api = new SwitchedApi(first, cut.Token);
        var maps = new Informer<ConfigMap>(api, Kind.ConfigMap, ConfigMap.Read, TimeProvider.System, new Random(1)) { Namespace = "default" };
        var running = maps.Run(stop.Token);
        await maps.Synced;
        Assert.True(maps.Revision > restored.Revision);
        api.Inner = second;
        await cut.CancelAsync();
        await Eventually.True(() => maps.Get("default", "kept") is not null && maps.Get("default", "later-0") is null, "the restored state");
        await stop.CancelAsync();
        await running;
    }
}
