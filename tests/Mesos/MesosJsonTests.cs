using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Xunit;
using MasterApi = Declarative.Mesos.Protocol.MasterApi;
using SchedulerApi = Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Tests.Mesos;

public sealed class MesosJsonTests
{
    [Fact]
    public void Recorded_events_read_and_write_back_byte_for_byte() => RoundTrip<SchedulerApi.Event>(Recorded.Lines("events.jsonl"));

    [Fact]
    public void Recorded_operator_messages_read_and_write_back()
    {
        var lines = Recorded.Lines("operator.jsonl").ToList();
        RoundTrip<MasterApi.Event>(lines.Where(line => !line.StartsWith("""{"type":"GET_""", StringComparison.Ordinal)));
        // Mesos writes these by hand, with empty lists and an agent's old checkpoint field: what is read must be the same once more.
        foreach (var line in lines.Where(line => line.StartsWith("""{"type":"GET_""", StringComparison.Ordinal) && !line.Contains("GET_CONTAINERS")))
        {
            var message = MesosJson.Read<MasterApi.Response>(Encoding.UTF8.GetBytes(line));
            var again = MesosJson.Read<MasterApi.Response>(MesosJson.Write(message));
            Assert.Equal(message, again);
            Assert.NotEqual(MasterApi.Response.Types.Type.Unknown, message.Type);
        }
    }

    [Fact]
    public void Recorded_calls_read_the_same_through_json_and_protobuf()
    {
        foreach (var line in Recorded.Lines("calls.jsonl"))
        {
            if (!MesosJson.TryRead<SchedulerApi.Call>(Encoding.UTF8.GetBytes(line), out var call, out var fault))
            {
                Assert.Equal(MesosJsonFaultKind.Conversion, fault.Kind);
                continue;
            }

            Assert.Equal(call, SchedulerApi.Call.Parser.ParseFrom(call.ToByteArray()));
            Assert.Equal(call, MesosJson.Read<SchedulerApi.Call>(MesosJson.Write(call)));
        }
    }

    [Theory]
    [InlineData("""{"type":"KILL","kill":null}""", "{\"type\":\"KILL\"}")]
    [InlineData("""{"type":"KILL","kill":{"taskId":{"value":"x"}, "task_id":{"value":"y"}}}""", "{\"type\":\"KILL\",\"kill\":{\"task_id\":{\"value\":\"y\"}}}")]
    [InlineData("""{"type":"NO_SUCH","bogus":[{"a":[1,2]}]}""", "{}")]
    [InlineData("""{"decline":{"offer_ids":[],"filters":{"refuse_seconds":"2.5"}}}""", "{\"decline\":{\"filters\":{\"refuse_seconds\":2.5}}}")]
    [InlineData("""{"decline":{"filters":{"refuse_seconds":3}}}""", "{\"decline\":{\"filters\":{\"refuse_seconds\":3.0}}}")]
    [InlineData("""{"kill":{"task_id":{"value":"é\u0041\"\\"},"kill_policy":{"grace_period":{"nanoseconds":9007199254740993}}}}""",
        "{\"kill\":{\"task_id\":{\"value\":\"éA\\\"\\\\\"},\"kill_policy\":{\"grace_period\":{\"nanoseconds\":9007199254740993}}}}")]
    public void Reads_what_mesos_reads(string json, string expected)
    {
        var call = MesosJson.Read<SchedulerApi.Call>(Encoding.UTF8.GetBytes(json));
        Assert.Equal(expected, Encoding.UTF8.GetString(MesosJson.Write(call)));
    }

    [Theory]
    [InlineData("[]", "Expecting a JSON object")]
    [InlineData("""{"kill":{}}""", "Missing required fields: kill.task_id")]
    [InlineData("""{"kill":{"task_id":{}}}""", "Missing required fields: kill.task_id.value")]
    [InlineData("""{"kill":{"task_id":"x"}}""", "Not expecting a JSON string for field 'task_id'")]
    [InlineData("""{"framework_id":{"value":7}}""", "Not expecting a JSON number for field 'value'")]
    [InlineData("""{"acknowledge":{"uuid":{"value":"x"}}}""", "Not expecting a JSON object for field 'uuid'")]
    [InlineData("""{"acknowledge":{"uuid":"%"}}""", "Failed to base64 decode bytes field 'uuid'")]
    [InlineData("""{"kill":{"kill_policy":{"grace_period":{"nanoseconds":1e30}}}}""", "Not expecting a JSON number for field 'nanoseconds'")]
    [InlineData("""{"kill":{"task_id":{"value":"\ud800"}}}""", "Not expecting an incomplete surrogate pair for field 'value'")]
    public void Says_what_is_wrong(string json, string text)
    {
        Assert.False(MesosJson.TryRead<SchedulerApi.Call>(Encoding.UTF8.GetBytes(json), out _, out var fault));
        Assert.Equal((MesosJsonFaultKind.Conversion, text), (fault.Kind, fault.Text));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("{\"a\":}")]
    [InlineData("{} {}")]
    [InlineData("\u0000")]
    public void Broken_json_is_a_syntax_error(string json)
    {
        Assert.False(MesosJson.TryRead<SchedulerApi.Call>(Encoding.UTF8.GetBytes(json), out _, out var fault));
        Assert.Equal(MesosJsonFaultKind.Syntax, fault.Kind);
    }

    private static void RoundTrip<T>(IEnumerable<string> lines)
        where T : IMessage<T>, new()
    {
        foreach (var line in lines)
        {
            var message = MesosJson.Read<T>(Encoding.UTF8.GetBytes(line));
            Assert.Equal(Normal(line), Encoding.UTF8.GetString(MesosJson.Write(message)));
        }
    }

    // A real master writes an agent's checkpoint flag, which is not in the v1 messages, and doubles with up to 17 digits where fewer do.
    private static string Normal(string line) =>
        Regex.Replace(
            line.Replace(",\"checkpoint\":true}", "}", StringComparison.Ordinal),
            @"\d+\.\d{5,}",
            number => double.Parse(number.Value, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture),
            RegexOptions.None,
            TimeSpan.FromSeconds(5)
        );
}
