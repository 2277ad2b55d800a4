using System.Text;
using System.Text.Json.Nodes;
using Declarative.Mesos.Protocol;
using Google.Protobuf;
using Xunit;
using AgentApi = Declarative.Mesos.Protocol.AgentApi;
using MasterApi = Declarative.Mesos.Protocol.MasterApi;
using SchedulerApi = Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Tests.Mesos.Replay;

/// <summary>Every message in every recording is understood: read and written again nothing of it is lost or changed, in JSON and in protobuf.</summary>
public sealed class DecodingTests
{
    public static TheoryData<string> Names() => [.. Recording.Names()];

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_message_is_understood(string name)
    {
        Dictionary<int, Entry> requests = [];
        var messages = 0;
        foreach (var entry in Recording.Read(name))
        {
            switch (entry.Moment)
            {
                case Moment.Request:
                    requests[entry.Connection] = entry;
                    break;
                case Moment.Record when IsJson(entry.Text):
                    messages += Check(entry.Text, On(requests[entry.Connection], stream: true));
                    break;
                case Moment.Response when entry.Header("Content-Type") == "application/json" && IsJson(entry.Body) && requests.TryGetValue(entry.Connection, out var request):
                    // What was asked is understood too, since it was answered.
                    if (IsJson(request.Body) && On(request, stream: null) is { } call)
                        Check(request.Body, call);
                    if (On(request, stream: false) is { } kind)
                        messages += Check(entry.Body, kind);
                    break;
            }
        }

        Assert.True(messages > 0 || name is "12-legacy-endpoints" or "18-authentication" || name.StartsWith('2'), "no message was looked at"); // from 20 on there are figures and no messages
    }

    // One message; where requests were sent one behind the other, the second head follows in the text.
    private static bool IsJson(string text) => text.StartsWith('{') && !text.Contains("HTTP/1.1", StringComparison.Ordinal);

    // The type of what goes over a connection: an event of a stream, a response, or (null) the call.
    private static MessageDescriptorOf? On(Entry request, bool? stream)
    {
        var agent = request.Port is 5051 or 5052;
        return (request.Path.TrimEnd('/'), stream) switch
        {
            ("/api/v1/scheduler" or "/master/api/v1/scheduler", true) => Of<SchedulerApi.Event>(),
            ("/api/v1/scheduler" or "/master/api/v1/scheduler", null) => Of<SchedulerApi.Call>(),
            ("/api/v1/scheduler" or "/master/api/v1/scheduler", false) => null,
            (var path, _) when !path.EndsWith("/api/v1", StringComparison.Ordinal) => null,
            (_, true) => agent ? Of<AgentApi.ProcessIO>() : Of<MasterApi.Event>(),
            (_, false) => agent ? Of<AgentApi.Response>() : Of<MasterApi.Response>(),
            _ => agent ? Of<AgentApi.Call>() : Of<MasterApi.Call>(),
        };
    }

    private delegate IMessage MessageDescriptorOf(byte[] json, out IMessage overProtobuf);

    private static MessageDescriptorOf Of<T>()
        where T : class, IMessage<T>, new() =>
        (byte[] json, out IMessage overProtobuf) =>
        {
            var message = MesosJson.Read<T>(json);
            var again = new T();
            again.MergeFrom(message.ToByteArray());
            overProtobuf = again;
            return message;
        };

    private static int Check(string json, MessageDescriptorOf? read)
    {
        if (read is null)
            return 0;
        var message = read(Encoding.UTF8.GetBytes(json), out var overProtobuf);
        Assert.Equal(message, overProtobuf);
        Assert.Equal(Canonical(JsonNode.Parse(json)), Canonical(JsonNode.Parse(MesosJson.Write(message))));
        return 1;
    }

    // What real masters say beyond their own published messages: a field of their internal ones, which means nothing any more.
    private const string Unpublished = "checkpoint";

    // Members in the order of their names, numbers by their value.
    private static string Canonical(JsonNode? node) =>
        node switch
        {
            JsonObject members => "{" + string.Join(",", members.Where(one => !(one.Key == Unpublished && members.ContainsKey("hostname"))).OrderBy(one => one.Key, StringComparer.Ordinal).Select(one => $"{one.Key}:{Canonical(one.Value)}")) + "}",
            JsonArray elements => "[" + string.Join(",", elements.Select(Canonical)) + "]",
            JsonValue value when value.GetValueKind() == System.Text.Json.JsonValueKind.Number => value.GetValue<double>().ToString("R", System.Globalization.CultureInfo.InvariantCulture),
            _ => node?.ToJsonString() ?? "null",
        };
}
