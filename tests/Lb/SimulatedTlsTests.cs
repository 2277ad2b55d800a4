using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Authorization;
using Declarative.Lb;
using Declarative.Sim;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>The choice of certificates in the world of one thread, without sockets.</summary>
public sealed class SimulatedTlsTests
{
    private const string Host = "shop.example";

    /// <summary>Somebody has taken the right to read Secrets from the balancer: it serves all the same, says why, and mends itself.</summary>
    [Fact]
    public void WithoutTheRightToReadSecretsEverythingElseIsServed()
    {
        using var authority = new TestAuthority(new World(1).Time.GetUtcNow());
        var (certificates, key) = authority.Issue(Host);
        var histories = Enumerable.Range(0, 2).Select(_ => Scenario(seed: 5, TestAuthority.Secret("cert", certificates, key))).ToList();
        Assert.Equal(histories[0], histories[1]);
    }

    private static ulong Scenario(int seed, string secret)
    {
        var world = new World(seed);
        var mayRead = false;
        var authorizer = new Authorizer();
        world.Run(async () =>
        {
            using var stop = new CancellationTokenSource();
            using var serverStop = new CancellationTokenSource();
            await using var journal = new MemoryJournal();
            var server = await Declarative.ApiServer.ApiServer.Open(journal, new() { Authorize = Check }, world.Time, world.Random, CancellationToken.None);
            var serving = server.Run(serverStop.Token);
            await server.Bootstrap(CancellationToken.None);
            var api = server.As(User.Admin);
            await api.Create(ResourceKey.Of(Kind.Secret, "default", "cert"), LbWorld.Bytes(secret));
            await api.Create(ResourceKey.Of(Kind.Ingress, "default", "site"), LbWorld.Bytes($$$"""
                {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"site"},"spec":{"tls":[{"hosts":["{{{Host}}}"],"secretName":"cert"}],
                 "rules":[{"host":"{{{Host}}}","http":{"paths":[{"path":"/","pathType":"Prefix","backend":{"service":{"name":"shop","port":{"number":80} } } }]} }]} }
                """));
            var lb = new LbRoutes(new() { Id = "sim" });
            var balancing = lb.Run(server.As(User.Lb), world.Time, world.Random, stop.Token);
            await Until(() => Task.FromResult(lb.IsServing), "it serves");
            Assert.NotNull(lb.Table.Hosts.Find(Host, "/"));
            Assert.Null(lb.Certificates.Find(Host));
            await Until(() => Told("Secret default/cert cannot be read yet: the default certificate is served"), "the reason is told");

            mayRead = true;
            await Until(() => Task.FromResult(lb.Certificates.Find(Host) is { Leaf.Subject: "CN=" + Host }), "the certificate is there");
            await Until(() => Told("All hosts of spec.tls are served"), "that is told too");
            await api.Delete(ResourceKey.Of(Kind.Secret, "default", "cert"));
            await Until(() => Task.FromResult(lb.Certificates.Find(Host) is null), "the certificate is gone");
            await Until(() => Told("Secret default/cert of type kubernetes.io/tls does not exist"), "that is told too");
            stop.Cancel();
            await balancing;
            serverStop.Cancel();
            await serving;

            async Task<bool> Told(string part) =>
                (await api.List(new(Kind.Event, "default"))).Items.Any(x => Event.Read(x.Json).Message.Contains(part, StringComparison.Ordinal));

            async Task Until(Func<Task<bool>> holds, string what)
            {
                for (var until = world.Elapsed + TimeSpan.FromMinutes(2); !await holds(); await Task.Delay(TimeSpan.FromMilliseconds(20), world.Time))
                {
                    Assert.True(world.Elapsed < until, $"seed {seed}, not within 2 min: {what}");
                }
                world.Note(what);
            }
        });
        return world.Hash;

        ApiException? Check(User user, string verb, Kind kind, string subresource, string ns, string name) =>
            !mayRead && user.Name == User.Lb.Name && kind.Equals(Kind.Secret) ? Status.Forbidden(kind, name, "not now") : authorizer.Check(user, verb, kind, subresource, ns, name);
    }
}
