using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Schema;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Tables;
using Xunit;

namespace Declarative.Tests.ApiServer.Tables;

/// <summary>Cells have the JSON types that Kubernetes gives them: programs read tables too.</summary>
public sealed class CellTypeTests
{
    [Theory]
    [InlineData("priorityclasses", "value integer 7, Global-Default boolean true", """ "value":7,"globalDefault":true """)]
    [InlineData("priorityclasses", "Global-Default boolean false", """ "value":7 """)]
    [InlineData("storageclasses", "AllowVolumeExpansion string true", """ "provisioner":"p","allowVolumeExpansion":true """)]
    [InlineData("csidrivers", "AttachRequired boolean true, PodInfoOnMount boolean false, StorageCapacity boolean true, RequiresRepublish boolean false", """ "spec":{"storageCapacity":true} """)]
    [InlineData("csidrivers", "AttachRequired boolean false", """ "spec":{"attachRequired":false} """)]
    [InlineData("volumeattachments", "Attached boolean true", """ "status":{"attached":true} """)]
    [InlineData("cronjobs", "Suspend boolean \"True\", Active integer 0", """ "spec":{"suspend":true} """)]
    [InlineData("horizontalpodautoscalers", "MinPods string \"1\", MaxPods string 5, Replicas string 2", """ "spec":{"minReplicas":1,"maxReplicas":5},"status":{"currentReplicas":2} """)]
    [InlineData("prioritylevelconfigurations", "NominalConcurrencyShares string 30, Queues string \"<none>\"", """ "spec":{"limited":{"nominalConcurrencyShares":30}} """)]
    [InlineData("configmaps", "Data string 1", """ "data":{"a":"b"} """)]
    [InlineData("deployments", "Up-to-date string 3, Available string 2", """ "status":{"updatedReplicas":3,"availableReplicas":2} """)]
    public void Built_in_kinds(string plural, string expected, string members)
    {
        var kind = Kind.All.First(x => x.Plural == plural && !x.Version.Contains("beta", StringComparison.Ordinal));
        var found = Cells(Printer.Of(kind, ""), $$$"""{"metadata":{"name":"x"},{{{members}}}}""");
        foreach (var one in expected.Split(", ")) Assert.Contains(one, found, StringComparer.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("boolean", "true", "true")]
    [InlineData("boolean", "\"true\"", "null")]
    [InlineData("integer", "7", "7")]
    [InlineData("integer", "7.9", "7")]
    [InlineData("integer", "\"7\"", "null")]
    [InlineData("number", "7", "7")]
    [InlineData("number", "1.50", "1.50")]
    [InlineData("number", "\"x\"", "null")]
    [InlineData("string", "\"x\"", "\"x\"")]
    [InlineData("string", "true", "\"true\"")]
    [InlineData("string", "{\"a\":1}", "\"{\\\"a\\\":1}\"")]
    [InlineData("date", "\"soon\"", "\"<invalid>\"")]
    [InlineData("date", "7", "null")]
    [InlineData("string", "null", "null")]
    public void Columns_of_custom_kinds(string type, string value, string cell)
    {
        var printer = CustomColumns.Of(new JsonObject { ["additionalPrinterColumns"] = new JsonArray(new JsonObject { ["name"] = "C", ["type"] = type, ["jsonPath"] = ".spec.c" }) });
        Assert.Contains($"C {type} {cell}", Cells(printer, $$$"""{"metadata":{"name":"x"},"spec":{"c":{{{value}}}}}"""));
        Assert.Contains($"C {type} null", Cells(printer, """{"metadata":{"name":"x"},"spec":{}}"""));
    }

    [Fact]
    public void Of_several_values_the_first_is_shown()
    {
        var printer = CustomColumns.Of(new JsonObject { ["additionalPrinterColumns"] = new JsonArray(new JsonObject { ["name"] = "C", ["type"] = "string", ["jsonPath"] = ".spec.list[*].a" }) });
        Assert.Contains("C string \"1\"", Cells(printer, """{"metadata":{"name":"x"},"spec":{"list":[{"a":1},{"a":2}]}}"""));
    }

    [Fact]
    public void A_pod_counts_its_sidecars()
    {
        const string Pod = """
            {"metadata":{"name":"x"},"spec":{"containers":[{"name":"a"}],"initContainers":[{"name":"s","restartPolicy":"Always"},{"name":"i"}]},
             "status":{"phase":"Running","initContainerStatuses":[{"name":"s","started":true,"ready":true,"restartCount":2,"state":{"running":{}}},{"name":"i","restartCount":5,"state":{"terminated":{"exitCode":0}}}],
              "containerStatuses":[{"name":"a","ready":true,"restartCount":1,"state":{"running":{}}}]}}
            """;
        var cells = Cells(Printer.Of(Kind.Pod, ""), Pod);
        Assert.Contains("Ready string \"2/2\"", cells);
        Assert.Contains("Restarts string \"3\"", cells);
        Assert.Contains("Restarts string \"7\"", Cells(Printer.Of(Kind.Pod, ""), Pod.Replace("\"terminated\":{\"exitCode\":0}", "\"waiting\":{\"reason\":\"CrashLoopBackOff\"}", StringComparison.Ordinal)));
    }

    /// <summary>Each as "COLUMN TYPE JSON".</summary>
    private static List<string> Cells(Printer printer, string json)
    {
        var row = Declarative.ApiServer.Tables.Row.Of(new(ResourceKey.Of(Kind.Pod, "default", "x"), "u", 1, Encoding.UTF8.GetBytes(json)), printer);
        using var buffer = new JsonBuffer();
        buffer.Raw((byte)'[');
        row.WriteCells(buffer, DateTimeOffset.UnixEpoch);
        buffer.Raw((byte)']');
        using var cells = JsonDocument.Parse(buffer.ToArray());
        return [.. printer.Columns.Zip(cells.RootElement.EnumerateArray()).Select(x => $"{x.First.Name} {x.First.Type} {x.Second.GetRawText()}")];
    }
}
