using System.Text;
using System.Text.Json;

namespace Declarative.Api.Kinds;

/// <summary>
/// The placement of a pod: annotation <c>declarative.mesos/task</c>, written before the launch (architecture.md, decision 5):
/// <c>{"id":"&lt;podUID&gt;.0","agent":"&lt;agent id&gt;","ports":{"web/8080":31002}}</c>.
/// </summary>
public sealed record TaskAnnotation
{
    public const string Key = "declarative.mesos/task";

    /// <summary><c>podUID.attempt</c>.</summary>
    public string Id { get; init; } = "";
    public string Agent { get; init; } = "";

    /// <summary>Host port by <c>container/containerPort</c>.</summary>
    public IReadOnlyDictionary<string, int> Ports { get; init; } = new Dictionary<string, int>();

    public int Attempt => Id.LastIndexOf('.') is var dot and >= 0 && int.TryParse(Id.AsSpan(dot + 1), out var attempt) ? attempt : 0;

    /// <summary>The host port of a container's declared port, 0 where there is none.</summary>
    public int HostPort(string container, int containerPort) => Ports.GetValueOrDefault($"{container}/{containerPort}");

    /// <summary>null where the text is not of this form.</summary>
    public static TaskAnnotation? Read(string text)
    {
        try
        {
            return ViewJson.Read<TaskAnnotation>(Encoding.UTF8.GetBytes(text));
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public string ToJson()
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString("id"u8, Id);
            json.WriteString("agent"u8, Agent);
            json.WriteStartObject("ports"u8);
            foreach (var (port, hostPort) in Ports.OrderBy(x => x.Key, StringComparer.Ordinal)) json.WriteNumber(port, hostPort);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
