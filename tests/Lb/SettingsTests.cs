using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Declarative.Api.Kinds;
using Declarative.Lb.Settings;
using Declarative.Tests.Architecture;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>Annotations → settings.</summary>
public sealed class SettingsTests
{
    [Fact]
    public void AServiceWithoutAnnotationsHasTheDefaultsAndNothingToDo() => Assert.Same(PortSettings.Default, Read());

    [Fact]
    public void TheGuideListsTheSameAnnotations()
    {
        var guide = File.ReadAllText(Path.Combine(Repository.Root, "docs/guide/load-balancer.md"));
        var listed = Regex.Matches(guide, @"^\| `lb-([a-z-]+)`", RegexOptions.Multiline).Select(x => x.Groups[1].Value);
        Assert.Equal(SettingTable.All.Select(x => x.Name), listed);
    }

    [Fact]
    public void ValuesOfEveryKindAreRead()
    {
        var read = Read(
            ("balance", "least-requests"), ("weights", "web-0=3, 127.0.0.1:31005=0"), ("slow-start", "1m30s"), ("timeout-connect", "500ms"), ("retries", "0"), ("retry-budget", "5%"),
            ("outlier-failures", "3"), ("health-check", "/healthz"), ("health-fall", "2"), ("allow", "10.0.0.0/8, 2001:db8::/32 192.0.2.7"), ("rate-limit", "600/m burst 20"),
            ("request-bytes-max", "10Mi"), ("hsts", "182d includeSubDomains"), ("strip-prefix", "/api/"), ("request-headers", "set X-A 1 2\nremove X-B"),
            ("split", "v2=10%,v3=header:X-Canary:yes,v4=cookie:canary"));
        Assert.Empty(read.Problems);
        var backend = read.Backend;
        Assert.Equal((Balance.LeastRequests, 3, TimeSpan.FromSeconds(90), TimeSpan.FromMilliseconds(500), 0, 5), (backend.Balance, backend.Weights["web-0"], backend.SlowStart, backend.ConnectTimeout, backend.Retries, backend.RetryPercent));
        Assert.Equal(OutlierSettings.Default with { Failures = 3 }, backend.Outlier);
        Assert.Equal(HealthSettings.Default with { Path = "/healthz", Fall = 2 }, backend.Health);
        var edge = read.Edge!;
        Assert.Equal("10.0.0.0/8 2001:db8::/32 192.0.2.7/32", string.Join(' ', edge.Allow));
        Assert.Equal((10.0, 20), (edge.Rate!.PerSecond, edge.Rate.Burst));
        Assert.Equal((10L << 20, "max-age=15724800; includeSubDomains", "/api"), (edge.BodyBytesMax, edge.Hsts, edge.StripPrefix));
        Assert.Equal([new(HeaderAction.Set, "X-A", "1 2"), new(HeaderAction.Remove, "X-B", "")], edge.RequestHeaders);
        Assert.Equal([new(new("shop", "v2"), 10, "", "", ""), new(new("shop", "v3"), 0, "X-Canary", "", "yes"), new(new("shop", "v4"), 0, "", "canary", "")], edge.Split);
    }

    [Fact]
    public void SessionAffinityIsBalancingByTheClientsAddressUnlessAnAnnotationSaysOtherwise()
    {
        Assert.Equal(Balance.Source, Read(Service("""[{"port":80}]""")).Backend.Balance);
        Assert.Equal(Balance.LeastRequests, Read(Service("""[{"port":80}]""", ("balance", "least-requests"))).Backend.Balance);

        static PortSettings Read(Service service)
        {
            var sticky = service with { Spec = service.Spec with { SessionAffinity = "ClientIP" } };
            return SettingsReader.Read(sticky, sticky.Spec.Ports[0]);
        }
    }

    [Fact]
    public void OnePortMayDiffer()
    {
        var service = Service("""[{"name":"web","port":80},{"name":"db","port":5432}]""", ("timeout-idle", "1m"), ("timeout-idle.db", "8h"), ("balance.5432", "source"));
        Assert.Equal((TimeSpan.FromMinutes(1), Balance.RoundRobin), (SettingsReader.Read(service, service.Spec.Ports[0]).Backend.IdleTimeout, SettingsReader.Read(service, service.Spec.Ports[0]).Backend.Balance));
        Assert.Equal((TimeSpan.FromHours(8), Balance.Source), (SettingsReader.Read(service, service.Spec.Ports[1]).Backend.IdleTimeout, SettingsReader.Read(service, service.Spec.Ports[1]).Backend.Balance));
    }

    [Theory]
    [InlineData("balanse", "x", "metadata.annotations[declarative.mesos/lb-balanse]: no such setting, the nearest is declarative.mesos/lb-balance")]
    [InlineData("retries", "many", "metadata.annotations[declarative.mesos/lb-retries]: \"many\", expected a number of 0–5")]
    [InlineData("retries.smtp", "1", "metadata.annotations[declarative.mesos/lb-retries.smtp]: no port is called smtp, there are 80")]
    [InlineData("request-headers", "set Content-Length 1", "metadata.annotations[declarative.mesos/lb-request-headers]: \"set Content-Length 1\", expected lines: set NAME VALUE, add NAME VALUE or remove NAME")]
    [InlineData("split", "a=60%,b=50%", "metadata.annotations[declarative.mesos/lb-split]: \"a=60%,b=50%\", expected SERVICE=10%, SERVICE=header:NAME:VALUE or SERVICE=cookie:NAME:VALUE, separated by commas, at most 100% together")]
    public void WhatCannotBeReadIsSaidAndChangesNothing(string name, string value, string problem)
    {
        var read = Read((name, value), ("slow-start", "5s"));
        Assert.Equal([problem], read.Problems);
        Assert.Equal(BackendSettings.Default with { SlowStart = TimeSpan.FromSeconds(5) }, read.Backend);
        Assert.Null(read.Edge);
    }

    [Fact]
    public void AGuardThatCannotBeReadLetsNobodyIn()
    {
        var read = Read(("allow", "10.0.0.0/99"));
        Assert.Equal(["metadata.annotations[declarative.mesos/lb-allow]: \"10.0.0.0/99\", expected networks as 10.0.0.0/8, separated by commas: nobody is let in"], read.Problems);
        Assert.Equal("annotation declarative.mesos/lb-allow cannot be read", read.Edge!.Closed);
    }

    [Fact]
    public void AnIngressHasNoEndpointsToChooseFrom()
    {
        var ingress = Ingress.Read(LbWorld.Bytes("""{"kind":"Ingress","metadata":{"name":"a","namespace":"shop","annotations":{"declarative.mesos/lb-balance":"random","declarative.mesos/lb-hsts":"1d"} } }"""));
        var read = SettingsReader.Read(ingress);
        Assert.Equal(["metadata.annotations[declarative.mesos/lb-balance]: belongs on a Service"], read.Problems);
        Assert.Equal("max-age=86400", read.Edge!.Hsts);
    }

    private static PortSettings Read(params (string Name, string Value)[] settings)
    {
        var service = Service("""[{"port":80}]""", settings);
        return SettingsReader.Read(service, service.Spec.Ports[0]);
    }

    private static Service Service(string ports, params (string Name, string Value)[] settings) => Declarative.Api.Kinds.Service.Read(LbWorld.Bytes(new JsonObject
    {
        ["metadata"] = new JsonObject
        {
            ["name"] = "web", ["namespace"] = "shop",
            ["annotations"] = new JsonObject(settings.Select(x => KeyValuePair.Create(SettingTable.Prefix + x.Name, (JsonNode?)x.Value))),
        },
        ["spec"] = new JsonObject { ["ports"] = JsonNode.Parse(ports) },
    }.ToJsonString()));
}
