using Declarative.Cli;
using Declarative.Cli.Commands;
using Declarative.Dns;
using Declarative.Dns.Zones;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>What the command line of <c>declarative dns</c> can say.</summary>
public class DnsOptionTests
{
    [Fact]
    public void ZonesTimesAndSourcesAreSettable()
    {
        var options = Read("--mesos-domain dc1.mesos --cluster-domain k8s.example --mesos-ttl 30 --cluster-ttl 0 --rfc952 --ip-source docker --ip-source host "
            + "--srv-weight 9 --all-running --stale-after 60 --stale servfail --listen 127.0.0.9:5353 --master zk://a,b/mesos");
        Assert.Equal(("dc1.mesos", "k8s.example"), (options.MesosDomain, options.ClusterDomain));
        Assert.Equal((30u, 30u, 0u, 0u), (options.Times.Ttl, options.Times.NegativeTtl, options.ClusterTimes.Ttl, options.ClusterTimes.NegativeTtl));
        Assert.True(options.Rfc952);
        Assert.Equal([IpSource.Docker, IpSource.Host], options.IpSources);
        Assert.Equal((9, false, StalePolicy.ServFail, TimeSpan.FromMinutes(1)), (options.SrvWeight, options.HealthAware, options.Stale, options.StaleAfter));
        Assert.Equal("127.0.0.9:5353", options.Listen.ToString());
        Assert.Equal(["zk://a,b/mesos"], options.Mesos!.Masters);
    }

    [Fact]
    public void OtherServersAreSettable()
    {
        var options = Read("--resolver 192.0.2.1 --resolver [2001:db8::1]:5300 --zone-resolver example.org=192.0.2.2:53 --zone-resolver Example.org=192.0.2.3 --allow-transfer 10.0.0.0/8 --notify 10.0.0.2 --rate-limit 100 --tls-cert /x.pem");
        Assert.Equal(["192.0.2.1:53", "[2001:db8::1]:5300"], options.Forward.Resolvers.Select(r => r.ToString()));
        Assert.Equal(["192.0.2.2:53", "192.0.2.3:53"], options.Forward.Zones["EXAMPLE.org"].Select(r => r.ToString()));
        Assert.Equal(("10.0.0.0/8", "10.0.0.2:53", 100), (options.TransferTo.Single().ToString(), options.Notify.Single().ToString(), options.RatePerSecond));
        Assert.Equal(("/x.pem", "/x.pem"), (options.Tls!.CertificateFile, options.Tls.KeyFile));
    }

    [Fact]
    public void HowTheMastersLetUsInIsSettable()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, "dns hush");
        var options = Read($"--master zk://a/mesos --mesos-secret-file {file} --mesos-ca /ca.pem --framework-name marathon");
        Assert.Equal(("dns", "/ca.pem", true, "marathon"), (options.Mesos!.Access.Principal, options.Mesos.Access.CaFile, options.Mesos.Https, options.Framework));
        Assert.DoesNotContain("hush", options.ToString(), StringComparison.Ordinal);
        File.Delete(file);
    }

    [Fact]
    public void NothingSaidIsTheDefault()
    {
        var options = Read("");
        Assert.Equal(("mesos", "cluster.local", 5u, 5u, true), (options.MesosDomain, options.ClusterDomain, options.Times.Ttl, options.ClusterTimes.Ttl, options.HealthAware));
        Assert.Equal(("127.0.0.1:8053", "127.64.0.10:53", "127.0.0.1:8123"), (options.Listen.ToString(), options.ClusterListen!.ToString(), options.Http!.ToString()));
        Assert.False(options.Forward.Any);
        Assert.Null(options.Mesos);
        Assert.Null(options.Tls);
    }

    [Theory]
    [InlineData("--mesos-ttl -1", "--mesos-ttl -1: expected 0 or more")]
    [InlineData("--srv-weight 70000", "--srv-weight 70000: expected 0..65535")]
    [InlineData("--ip-source dns", "--ip-source dns: expected netinfo, mesos, docker or host")]
    [InlineData("--ip-source host --ip-source host", "--ip-source: expected each source at most once")]
    [InlineData("--mesos-principal me", "--mesos-principal: --mesos-secret-file is needed too")]
    [InlineData("--mesos-secret-file /a --mesos-service-account /b", "--mesos-service-account: expected either this or --mesos-secret-file")]
    [InlineData("--stale never", "--stale never: expected keep or servfail")]
    [InlineData("--stale-after 0", "--stale-after 0: expected at least 1")]
    [InlineData("--resolver dns.example", "--resolver dns.example: expected an IP address, or IP:PORT")]
    [InlineData("--zone-resolver 192.0.2.1", "--zone-resolver 192.0.2.1: expected ZONE=IP")]
    [InlineData("--allow-transfer everyone", "--allow-transfer everyone: expected ADDRESS/BITS")]
    public void WhatCannotBeIsRefusedByItsName(string options, string error) =>
        Assert.Equal(error, Assert.Throws<UsageException>(() => Read(options)).Message);

    private static DnsOptions Read(string options) => DnsCommand.Read(DnsCommand.Make(new Machine(TimeProvider.System, new Random(1), Task.Run)).Parse(options), 0);
}
