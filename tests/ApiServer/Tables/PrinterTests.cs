using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.Tables;
using Xunit;

namespace Declarative.Tests.ApiServer.Tables;

public sealed class PrinterTests
{
    private static readonly DateTimeOffset Now = new(2026, 1, 2, 12, 0, 0, TimeSpan.Zero);
    private const string Meta = "\"metadata\":{\"name\":\"x\",\"creationTimestamp\":\"2026-01-02T11:00:00Z\"}";

    [Theory]
    [InlineData("0s", 0)]
    [InlineData("119s", 119)]
    [InlineData("2m", 120)]
    [InlineData("9m59s", 599)]
    [InlineData("10m", 600)]
    [InlineData("179m", 10_799)]
    [InlineData("3h", 10_800)]
    [InlineData("7h59m", 28_799)]
    [InlineData("8h", 28_800)]
    [InlineData("47h", 172_799)]
    [InlineData("2d", 172_800)]
    [InlineData("7d23h", 691_199)]
    [InlineData("8d", 691_200)]
    [InlineData("729d", 63_071_999)]
    [InlineData("2y", 63_072_000)]
    [InlineData("2y1d", 63_158_400)]
    [InlineData("8y", 252_288_000)]
    [InlineData("<invalid>", -5)]
    public void Ages_read_as_kubectl_users_know_them(string text, long seconds) => Assert.Equal(text, Age.Of(seconds * TimeSpan.TicksPerSecond));

    [Theory]
    // What each row shows: a pod that waits, runs, is ready, has crashed, ended, is being deleted, was put aside by its node.
    [InlineData("0/1|Pending|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Pending"} """)]
    [InlineData("1/1|Running|0|60m|10.0.0.1|<none>|<none>|<none>", """ "status":{"phase":"Running","podIP":"10.0.0.1","containerStatuses":[{"name":"a","ready":true,"restartCount":0,"state":{"running":{}}}]} """)]
    [InlineData("0/1|CrashLoopBackOff|4 (5m40s ago)|60m|<none>|<none>|<none>|<none>",
        """ "status":{"phase":"Running","containerStatuses":[{"name":"a","ready":false,"restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"finishedAt":"2026-01-02T11:54:20Z"}}}]} """)]
    [InlineData("0/1|Error|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Failed","containerStatuses":[{"name":"a","restartCount":0,"state":{"terminated":{"exitCode":1,"reason":"Error"}}}]} """)]
    [InlineData("0/1|Signal:9|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Failed","containerStatuses":[{"name":"a","restartCount":0,"state":{"terminated":{"exitCode":137,"signal":9}}}]} """)]
    [InlineData("0/1|ExitCode:3|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Failed","containerStatuses":[{"name":"a","restartCount":0,"state":{"terminated":{"exitCode":3}}}]} """)]
    [InlineData("0/1|Completed|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Succeeded","containerStatuses":[{"name":"a","restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]} """)]
    [InlineData("0/1|ResourcesTaken|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Failed","reason":"ResourcesTaken"} """)]
    [InlineData("0/1|Init:0/1|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}}]} """)]
    [InlineData("0/1|Init:Error|0|60m|<none>|<none>|<none>|<none>", """ "status":{"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":1,"reason":"Error"}}}]} """)]
    public void Pods(string row, string status) =>
        Assert.Equal("x|" + row, Row(Kind.Pod, $$$"""{{{{Meta}}},"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"i"}]},{{{status}}}}"""));

    [Theory]
    [InlineData("Terminating", "Running")]
    [InlineData("Failed", "Failed")]
    public void A_deleted_pod_is_terminating_until_it_has_ended(string word, string phase) =>
        Assert.Equal($"x|0/1|{word}|0|60m|<none>|<none>|<none>|<none>", Row(Kind.Pod,
            $$$"""{"metadata":{"name":"x","creationTimestamp":"2026-01-02T11:00:00Z","deletionTimestamp":"2026-01-02T12:00:30Z"},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"{{{phase}}}"}}"""));

    [Theory]
    [InlineData("deployments", "x|2/3|1|2|60m|a,b|web:1,<none>|app=web,tier in (x,y)",
        """ "spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"},"matchExpressions":[{"key":"tier","operator":"In","values":["x","y"]}]},"template":{"spec":{"containers":[{"name":"a","image":"web:1"},{"name":"b"}]}}},"status":{"readyReplicas":2,"updatedReplicas":1,"availableReplicas":2} """)]
    [InlineData("replicasets", "x|3|2|1|60m|a|<none>|app=web", """ "spec":{"replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"spec":{"containers":[{"name":"a"}]}}},"status":{"replicas":2,"readyReplicas":1} """)]
    [InlineData("services", "x|LoadBalancer|127.64.0.5|<pending>|80:30001/TCP,53/UDP|60m|app=web",
        """ "spec":{"type":"LoadBalancer","clusterIP":"127.64.0.5","selector":{"app":"web"},"ports":[{"port":80,"nodePort":30001,"protocol":"TCP"},{"port":53,"protocol":"UDP"}]} """)]
    [InlineData("services", "x|LoadBalancer|127.64.0.5|127.0.0.1|80/TCP|60m|<none>",
        """ "spec":{"type":"LoadBalancer","clusterIP":"127.64.0.5","ports":[{"port":80}]},"status":{"loadBalancer":{"ingress":[{"ip":"127.0.0.1"}]}} """)]
    [InlineData("services", "x|ExternalName|<none>|example.com|<none>|60m|<none>", """ "spec":{"type":"ExternalName","externalName":"example.com"} """)]
    [InlineData("endpointslices", "x|IPv4|31000,31001|127.0.0.1,127.0.0.2,127.0.0.3 + 1 more...|60m",
        """ "addressType":"IPv4","ports":[{"port":31000},{"port":31001}],"endpoints":[{"addresses":["127.0.0.1"]},{"addresses":["127.0.0.2"]},{"addresses":["127.0.0.3"]},{"addresses":["127.0.0.4"]}] """)]
    [InlineData("endpoints", "x|127.0.0.1:80,127.0.0.2:80|60m", """ "subsets":[{"addresses":[{"ip":"127.0.0.1"},{"ip":"127.0.0.2"}],"ports":[{"port":80}]}] """)]
    [InlineData("configmaps", "x|3|60m", """ "data":{"a":"","b":""},"binaryData":{"c":""} """)]
    [InlineData("secrets", "x|Opaque|1|60m", """ "type":"Opaque","data":{"a":""} """)]
    [InlineData("namespaces", "x|Active|60m", """ "status":{"phase":"Active"} """)]
    [InlineData("leases", "x|me|60m", """ "spec":{"holderIdentity":"me"} """)]
    [InlineData("nodes", "x|Ready,SchedulingDisabled|<none>|60m|v1|127.0.0.1|<none>|linux|<unknown>|mesos://1.11.0",
        """ "spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],"nodeInfo":{"kubeletVersion":"v1","osImage":"linux","containerRuntimeVersion":"mesos://1.11.0"}} """)]
    [InlineData("ingresses", "x|lb|a.example,b.example|127.0.0.1|80, 443|60m",
        """ "spec":{"ingressClassName":"lb","rules":[{"host":"a.example"},{"host":"b.example"}],"tls":[{}]},"status":{"loadBalancer":{"ingress":[{"ip":"127.0.0.1"}]}} """)]
    [InlineData("trafficreports", "x|lb|42|2|3|3s|60m",
        """ "spec":{"role":"lb","renewTime":"2026-01-02T11:59:57Z"},"status":{"observedRevision":42,"draining":[{"podUID":"a","inFlight":1},{"podUID":"b","inFlight":2}]} """)]
    [InlineData("jobs", "x|Complete|1/1|30s|60m|a|<none>|<none>",
        """ "spec":{"completions":1,"template":{"spec":{"containers":[{"name":"a"}]}}},"status":{"succeeded":1,"startTime":"2026-01-02T11:00:00Z","completionTime":"2026-01-02T11:00:30Z","conditions":[{"type":"Complete","status":"True"}]} """)]
    [InlineData("serviceaccounts", "x|0|60m", "\"secrets\":[]")]
    [InlineData("clusterroles", "x|2026-01-02T11:00:00Z", "\"rules\":[]")]
    [InlineData("runtimeclasses", "x|runc|60m", "\"handler\":\"runc\"")]
    [InlineData("certificatesigningrequests", "x|60m|example.com/a|jane|<none>|Pending", """ "spec":{"signerName":"example.com/a","username":"jane"} """)]
    [InlineData("certificatesigningrequests", "x|60m|example.com/a|jane|24h|Approved,Issued",
        """ "spec":{"signerName":"example.com/a","username":"jane","expirationSeconds":86400},"status":{"conditions":[{"type":"Approved"}],"certificate":"YQ=="} """)]
    [InlineData("certificatesigningrequests", "x|60m|<none>||<none>|Denied,Failed", """ "status":{"conditions":[{"type":"Failed"},{"type":"Denied"},{"type":"Approved"}]} """)]
    [InlineData("podtemplates", "x|a|web:1|app=web", """ "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"a","image":"web:1"}]}} """)]
    [InlineData("componentstatuses", "x|Unhealthy|ok|refused", """ "conditions":[{"type":"Healthy","status":"False","message":"ok","error":"refused"}] """)]
    [InlineData("apiservices", "x|Local|Unknown|60m", """ "spec":{"group":"apps"} """)]
    [InlineData("apiservices", "x|kube-system/metrics|False (MissingEndpoints)|60m",
        """ "spec":{"service":{"namespace":"kube-system","name":"metrics"}},"status":{"conditions":[{"type":"Available","status":"False","reason":"MissingEndpoints"}]} """)]
    [InlineData("validatingadmissionpolicies", "x|2|v1/ConfigMap|60m", """ "spec":{"validations":[{},{}],"paramKind":{"apiVersion":"v1","kind":"ConfigMap"}} """)]
    [InlineData("validatingadmissionpolicybindings", "x|p|*/limits|60m", """ "spec":{"policyName":"p","paramRef":{"name":"limits"}} """)]
    [InlineData("validatingadmissionpolicybindings", "x|p|a=b|60m", """ "spec":{"policyName":"p","paramRef":{"selector":{"matchLabels":{"a":"b"}}}} """)]
    [InlineData("csidrivers", "x|false|true|false|vault|false|Persistent,Ephemeral|60m",
        """ "spec":{"attachRequired":false,"podInfoOnMount":true,"tokenRequests":[{"audience":"vault"}],"volumeLifecycleModes":["Persistent","Ephemeral"]} """)]
    [InlineData("csinodes", "x|1|60m", """ "spec":{"drivers":[{"name":"d"}]} """)]
    [InlineData("volumeattachments", "x|d|pv-1|node-1|true|60m", """ "spec":{"attacher":"d","nodeName":"node-1","source":{"persistentVolumeName":"pv-1"}},"status":{"attached":true} """)]
    [InlineData("csistoragecapacities", "x|fast|1Ti", "\"storageClassName\":\"fast\",\"capacity\":\"1Ti\"")]
    [InlineData("volumeattributesclasses", "x|d|60m", "\"driverName\":\"d\"")]
    [InlineData("ipaddresses", "x|services/default/web", """ "spec":{"parentRef":{"resource":"services","namespace":"default","name":"web"}} """)]
    [InlineData("servicecidrs", "x|10.0.0.0/16,fd00::/108|60m", """ "spec":{"cidrs":["10.0.0.0/16","fd00::/108"]} """)]
    [InlineData("flowschemas", "x|workload-low|900|ByUser|60m|False",
        """ "spec":{"priorityLevelConfiguration":{"name":"workload-low"},"matchingPrecedence":900,"distinguisherMethod":{"type":"ByUser"}},"status":{"conditions":[{"type":"Dangling","status":"False"}]} """)]
    [InlineData("prioritylevelconfigurations", "x|Limited|30|64|6|50|60m",
        """ "spec":{"type":"Limited","limited":{"nominalConcurrencyShares":30,"limitResponse":{"queuing":{"queues":64,"handSize":6,"queueLengthLimit":50}}}} """)]
    [InlineData("prioritylevelconfigurations", "x|Exempt|<none>|<none>|<none>|<none>|60m", """ "spec":{"type":"Exempt"} """)]
    [InlineData("storageclasses", "x|d|Delete|Immediate|false|60m", "\"provisioner\":\"d\"")]
    public void Kinds(string plural, string row, string body) =>
        Assert.Equal(row, Row(Kind.All.First(x => x.Plural == plural && !x.Version.Contains("beta", StringComparison.Ordinal)), $$$"""{{{{Meta}}},{{{body}}}}"""));

    [Fact]
    public void The_default_storage_class_says_so_beside_its_name() =>
        Assert.Equal("x (default)|d|Delete|Immediate|false|60m", Row(Kind.StorageClass,
            """{"metadata":{"name":"x","creationTimestamp":"2026-01-02T11:00:00Z","annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"d"}"""));

    [Fact]
    public void Events_show_how_often_and_how_long() =>
        Assert.Equal("60s (x3 over 30m)|Warning|FailedScheduling|pod/web-1||placement|no agent fits|30m|3|x", Row(Kind.Event,
            $$$"""{{{{Meta}}},"type":"Warning","reason":"FailedScheduling","message":"no agent fits\n","count":3,"firstTimestamp":"2026-01-02T11:30:00Z","lastTimestamp":"2026-01-02T11:59:00Z","source":{"component":"placement"},"involvedObject":{"kind":"Pod","name":"web-1"}}"""));

    [Fact]
    public void Every_kind_has_a_printer_that_bears_an_empty_object()
    {
        foreach (var kind in Kind.All)
        {
            var printer = Printer.Of(kind, "");
            Assert.Equal(printer.Columns.Count, Row(kind, "{\"metadata\":{\"name\":\"x\"}}").Split('|').Length);
        }
    }

    [Fact]
    public void A_row_is_made_once_a_revision_and_its_ages_go_on()
    {
        var pod = new Stored(ResourceKey.Of(Kind.Pod, "default", "x"), "u", 1, Encoding.UTF8.GetBytes(
            $$$"""{{{{Meta}}},"spec":{"containers":[{"name":"a"}]},"status":{"phase":"Running","containerStatuses":[{"restartCount":2,"lastState":{"terminated":{"finishedAt":"2026-01-02T11:58:00Z"} } }]} }"""));
        var printer = Printer.Of(Kind.Pod, "");
        Assert.StartsWith("x|0/1|Running|2 (2m ago)|60m|", Text(Declarative.ApiServer.Tables.Row.Of(pod, printer), Now), StringComparison.Ordinal);
        var row = Declarative.ApiServer.Tables.Row.Of(pod, printer);
        Assert.StartsWith("x|0/1|Running|2 (62m ago)|120m|", Text(row, Now.AddHours(1)), StringComparison.Ordinal);
        Assert.Same(row, Declarative.ApiServer.Tables.Row.Of(pod, printer));
        Assert.NotSame(row, Declarative.ApiServer.Tables.Row.Of(pod, Printer.NameAndAge));
        Assert.Null((pod with { Revision = 2 }).Made);
    }

    [Fact]
    public void A_text_with_quotes_beside_a_time_is_escaped()
    {
        var printer = new Printer([], _ => [Cell.Joined("a\"b\n ", Cell.Since(Now.AddSeconds(-5)), " \\"), Cell.Absent, Cell.Since(null)]);
        var stored = new Stored(ResourceKey.Of(Kind.Pod, "default", "x"), "u", 1, Encoding.UTF8.GetBytes($$$"""{{{{Meta}}}}"""));
        Assert.Equal("x|a\"b\n 5s \\||<unknown>", Text(Declarative.ApiServer.Tables.Row.Of(stored, printer), Now));
    }

    private static string Row(Kind kind, string json) =>
        Text(Declarative.ApiServer.Tables.Row.Of(new(ResourceKey.Of(kind, "default", "x"), "u", 1, Encoding.UTF8.GetBytes(json)), Printer.Of(kind, "")), Now);

    private static string Text(Declarative.ApiServer.Tables.Row row, DateTimeOffset now)
    {
        using var buffer = new JsonBuffer();
        buffer.Raw((byte)'[');
        row.WriteCells(buffer, now);
        buffer.Raw((byte)']');
        using var cells = JsonDocument.Parse(buffer.ToArray());
        return string.Join('|', cells.RootElement.EnumerateArray().Select(x => x.ValueKind is JsonValueKind.True or JsonValueKind.False ? x.GetRawText() : x.ToString()));
    }
}
