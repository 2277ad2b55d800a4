using System.Buffers;
using System.Text.Json;
using Declarative.Api.Kinds;

namespace Declarative.Api.Objects;

/// <summary>The reasons of Kubernetes' Status (apimachinery metav1.StatusReason).</summary>
public static class StatusReason
{
    public const string BadRequest = "BadRequest";
    public const string Unauthorized = "Unauthorized";
    public const string Forbidden = "Forbidden";
    public const string NotFound = "NotFound";
    public const string MethodNotAllowed = "MethodNotAllowed";
    public const string NotAcceptable = "NotAcceptable";
    public const string AlreadyExists = "AlreadyExists";
    public const string Conflict = "Conflict";
    public const string Expired = "Expired";
    public const string TooLarge = "RequestEntityTooLarge";
    public const string UnsupportedMediaType = "UnsupportedMediaType";
    public const string Invalid = "Invalid";
    public const string TooManyRequests = "TooManyRequests";
    public const string InternalError = "InternalError";
    public const string ServiceUnavailable = "ServiceUnavailable";
    public const string Timeout = "Timeout";
}

/// <summary>Reasons of causes by which clients decide (apimachinery metav1.CauseType).</summary>
internal static class CauseReason
{
    public const string RevisionTooLarge = "ResourceVersionTooLarge";
}

/// <summary>One cause inside <see cref="Status.Causes"/>.</summary>
/// <param name="Reason">FieldValueInvalid, FieldValueRequired, FieldValueNotSupported, FieldValueDuplicate, FieldValueForbidden, FieldValueNotFound …</param>
/// <param name="Field">Path as Kubernetes writes it: <c>spec.containers[0].name</c>.</param>
public sealed record StatusCause(string Reason, string Message, string Field);

/// <summary>Kubernetes' answer to a request that has no object to show, most of all an error.</summary>
public sealed record Status(int Code, string Reason, string Message)
{
    public string Group { get; init; } = "";

    /// <summary>The resource's plural, or for Invalid the kind, as Kubernetes does.</summary>
    public string Kind { get; init; } = "";
    public string Name { get; init; } = "";
    public string Uid { get; init; } = "";
    public IReadOnlyList<StatusCause> Causes { get; init; } = [];
    public int RetryAfterSeconds { get; init; }

    /// <summary>metadata.continue: a token to go on with a list that has expired, though not as of one revision; "" = none.</summary>
    public string Continue { get; init; } = "";
    public bool IsSuccess => Code < 300;

    public static ApiException NotFound(Kind kind, string name) =>
        About(404, StatusReason.NotFound, kind, name, $"{kind.QualifiedPlural} \"{name}\" not found");

    public static ApiException AlreadyExists(Kind kind, string name) =>
        About(409, StatusReason.AlreadyExists, kind, name, $"{kind.QualifiedPlural} \"{name}\" already exists");

    public static ApiException Conflict(Kind kind, string name, string why) =>
        About(409, StatusReason.Conflict, kind, name, $"Operation cannot be fulfilled on {kind.QualifiedPlural} \"{name}\": {why}");

    public static ApiException Modified(Kind kind, string name) =>
        Conflict(kind, name, "the object has been modified; please apply your changes to the latest version and try again");

    public static ApiException Forbidden(Kind kind, string name, string why) =>
        About(403, StatusReason.Forbidden, kind, name, name.Length == 0 ? $"{kind.QualifiedPlural} is forbidden: {why}" : $"{kind.QualifiedPlural} \"{name}\" is forbidden: {why}");

    public static ApiException Invalid(Kind kind, string name, IReadOnlyList<StatusCause> causes) => Invalid(kind.Group, kind.Name, name, causes);

    /// <param name="kind">Its name, such as Pod, or of no stored object: ListOptions.</param>
    public static ApiException Invalid(string group, string kind, string name, IReadOnlyList<StatusCause> causes)
    {
        var text = causes.Count == 1 ? Line(causes[0]) : "[" + string.Join(", ", causes.Select(Line)) + "]";
        var what = group.Length == 0 ? kind : $"{kind}.{group}";
        return new(new(422, StatusReason.Invalid, $"{what} \"{name}\" is invalid: {text}") { Group = group, Kind = kind, Name = name, Causes = causes });

        static string Line(StatusCause cause) => cause.Field.Length == 0 ? cause.Message : $"{cause.Field}: {cause.Message}";
    }

    public static ApiException BadRequest(string message) => new(new(400, StatusReason.BadRequest, message));

    public static ApiException Unauthorized() => new(new(401, StatusReason.Unauthorized, "Unauthorized"));

    public static ApiException Expired(long revision, long oldest) =>
        new(new(410, StatusReason.Expired, $"too old resource version: {revision} ({oldest})"));

    /// <param name="next">Continues the list with what there is now.</param>
    public static ApiException ExpiredContinue(string next) => new(new(410, StatusReason.Expired,
        "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or go on with the one in this answer's "
        + "metadata: the rest is then of another moment than the pages before, and may lack or repeat what was changed in between.") { Continue = next });

    public static ApiException TooLarge(string message) => new(new(413, StatusReason.TooLarge, message));

    public static ApiException UnsupportedMediaType(string message) => new(new(415, StatusReason.UnsupportedMediaType, message));

    public static ApiException NotAcceptable(string message) => new(new(406, StatusReason.NotAcceptable, message));

    public static ApiException MethodNotAllowed(string message) => new(new(405, StatusReason.MethodNotAllowed, message));

    public static ApiException PageNotFound() => new(new(404, StatusReason.NotFound, "the server could not find the requested resource"));

    public static ApiException TooManyRequests(string message, int retryAfterSeconds) =>
        new(new(429, StatusReason.TooManyRequests, message) { RetryAfterSeconds = retryAfterSeconds });

    public static ApiException Unavailable(string message) => new(new(503, StatusReason.ServiceUnavailable, message) { RetryAfterSeconds = 1 });

    public static ApiException Timeout(string message) => new(new(504, StatusReason.Timeout, message));

    /// <summary>
    /// A revision that is not there yet, or never will be: the store was put back to an earlier one. Informers of client libraries know the cause and
    /// list anew (storage.NewTooLargeResourceVersionError).
    /// </summary>
    public static ApiException RevisionTooLarge(long asked, long current) => new(new(504, StatusReason.Timeout, $"Timeout: Too large resource version: {asked}, current: {current}")
    {
        Causes = [new(CauseReason.RevisionTooLarge, "Too large resource version", "")],
        RetryAfterSeconds = 1,
    });

    /// <summary>In the words, and with the code, of Kubernetes (storage.ErrResourceVersionSetOnCreate).</summary>
    public static ApiException RevisionOnCreate() => new(new(500, "", "resourceVersion should not be set on objects to be created"));

    public static ApiException Internal(string message) => new(new(500, StatusReason.InternalError, "Internal error occurred: " + message));

    private static ApiException About(int code, string reason, Kind kind, string name, string message) =>
        new(new(code, reason, message) { Group = kind.Group, Kind = kind.Plural, Name = name });

    // As Kubernetes writes it: a quote in a message is \", not \u0022.
    private static readonly JsonWriterOptions Writing = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The v1 Status object as JSON.</summary>
    public byte[] ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(buffer, Writing))
        {
            Write(json);
        }
        return buffer.WrittenSpan.ToArray();
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("kind"u8, "Status"u8);
        json.WriteString("apiVersion"u8, "v1"u8);
        json.WriteStartObject("metadata"u8);
        if (Continue.Length > 0) json.WriteString("continue"u8, Continue);
        json.WriteEndObject();
        json.WriteString("status"u8, IsSuccess ? "Success"u8 : "Failure"u8);
        if (Message.Length > 0) json.WriteString("message"u8, Message);
        if (Reason.Length > 0) json.WriteString("reason"u8, Reason);
        if (Name.Length + Group.Length + Kind.Length + Uid.Length + Causes.Count + RetryAfterSeconds > 0)
        {
            json.WriteStartObject("details"u8);
            if (Name.Length > 0) json.WriteString("name"u8, Name);
            if (Group.Length > 0) json.WriteString("group"u8, Group);
            if (Kind.Length > 0) json.WriteString("kind"u8, Kind);
            if (Uid.Length > 0) json.WriteString("uid"u8, Uid);
            if (Causes.Count > 0)
            {
                json.WriteStartArray("causes"u8);
                foreach (var cause in Causes)
                {
                    json.WriteStartObject();
                    json.WriteString("reason"u8, cause.Reason);
                    json.WriteString("message"u8, cause.Message);
                    if (cause.Field.Length > 0) json.WriteString("field"u8, cause.Field);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
            }
            if (RetryAfterSeconds > 0) json.WriteNumber("retryAfterSeconds"u8, RetryAfterSeconds);
            json.WriteEndObject();
        }
        json.WriteNumber("code"u8, Code);
        json.WriteEndObject();
    }

    /// <summary>Reads the Status of a remote server's answer; any other text becomes the message.</summary>
    public static Status Read(int code, ReadOnlySpan<byte> body)
    {
        try
        {
            var reader = new Utf8JsonReader(body);
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            if (root.ValueKind == JsonValueKind.Object && Text(root, "kind") == "Status")
            {
                var details = root.TryGetProperty("details", out var d) && d.ValueKind == JsonValueKind.Object ? d : default;
                return new(root.TryGetProperty("code", out var c) && c.TryGetInt32(out var n) ? n : code, Text(root, "reason"), Text(root, "message"))
                {
                    Group = Text(details, "group"),
                    Kind = Text(details, "kind"),
                    Name = Text(details, "name"),
                    Uid = Text(details, "uid"),
                    RetryAfterSeconds = details.ValueKind == JsonValueKind.Object && details.TryGetProperty("retryAfterSeconds", out var s) && s.TryGetInt32(out var after) ? after : 0,
                    Causes = details.ValueKind == JsonValueKind.Object && details.TryGetProperty("causes", out var causes) && causes.ValueKind == JsonValueKind.Array
                        ? [.. causes.EnumerateArray().Select(x => new StatusCause(Text(x, "reason"), Text(x, "message"), Text(x, "field")))]
                        : [],
                };
            }
        }
        catch (JsonException)
        {
            return new(code, "", System.Text.Encoding.UTF8.GetString(body));
        }
        return new(code, "", System.Text.Encoding.UTF8.GetString(body));

        static string Text(JsonElement element, string name) =>
            element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
    }
}
