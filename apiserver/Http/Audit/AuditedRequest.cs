using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Declarative.ApiServer.Authentication;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http.Audit;

/// <summary>
/// What is learnt of one request for its audit event. A feature of the request's context while it is answered. Objects that hold secrets
/// (Secrets, tokens) are never kept, whatever the policy says.
/// </summary>
/// <param name="verb">Of authorization.</param>
/// <param name="asked">null for a path that is no resource.</param>
/// <param name="url">The path.</param>
internal sealed class AuditedRequest(AuditLog log, TimeProvider time, string verb, RequestPath? asked, string url)
{
    public const string Header = "Audit-Id";
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.ffffffZ";
    private const int TextCharsMax = 1024;

    /// <summary>Who could not be told.</summary>
    private static readonly User Nobody = new("system:anonymous", "system:unauthenticated");

    private readonly DateTimeOffset _received = time.GetUtcNow();
    private readonly string _id = Guid.NewGuid().ToString();
    private User _user = Nobody;
    private User? _impersonated;
    private string _name = "";
    private ReadOnlyMemory<byte> _request;
    private ReadOnlyMemory<byte> _response;
    private Status? _refusal;
    private bool _isForbidden;

    public AuditLevel Level { get; private set; }

    /// <summary>What admission adds, by its key.</summary>
    public IDictionary<string, string> Annotations { get; } = new SortedDictionary<string, string>(StringComparer.Ordinal);

    /// <summary>null where this server keeps no audit log.</summary>
    public static AuditedRequest? Of(HttpContext context) => context.Features.Get<AuditedRequest>();

    public void Begin(HttpContext context)
    {
        Decide(_user);
        context.Features.Set(this);
        context.Response.Headers[Header] = _id;
    }

    /// <summary>Who asks, and who that one says to be.</summary>
    public void Asks(User authenticated, User acting)
    {
        _user = authenticated;
        _impersonated = ReferenceEquals(authenticated, acting) ? null : acting;
        Decide(acting);
    }

    private void Decide(User acting)
    {
        Level = log.Policy.LevelOf(asked is { } path
            ? new(acting.Name, acting.Groups, verb, path.Kind.Group, path.Subresource.Length == 0 ? path.Kind.Plural : $"{path.Kind.Plural}/{path.Subresource}", path.Namespace ?? "", path.Name, "")
            : new(acting.Name, acting.Groups, verb, "", "", "", "", url));
        if (Level > AuditLevel.Metadata && asked is { } secret && IsSecret(secret)) Level = AuditLevel.Metadata;
    }

    /// <param name="json">The object as it was sent.</param>
    public void Sent(ReadOnlyMemory<byte> json)
    {
        if (Level >= AuditLevel.Request) _request = json;
    }

    /// <param name="answered">It has a name where the request had none, too.</param>
    public void Answered(Stored answered)
    {
        _name = answered.Key.Name;
        if (Level >= AuditLevel.RequestResponse) _response = answered.Json;
    }

    /// <param name="byAuthorization">It was a matter of rights, not of what was asked.</param>
    public void Refused(Status status, bool byAuthorization) => (_refusal, _isForbidden) = (status, byAuthorization);

    /// <summary>The answer to a watch, a log or a connection has begun; its end is told again.</summary>
    public ValueTask Started(HttpContext context) => Level == AuditLevel.None ? ValueTask.CompletedTask : log.Add(Line(context, "ResponseStarted"));

    public ValueTask Ended(HttpContext context) => Level == AuditLevel.None ? ValueTask.CompletedTask : log.Add(Line(context, "ResponseComplete"));

    private static bool IsSecret(RequestPath path) => path.Kind.Plural is "secrets" or "tokenreviews" || path.Subresource == "token";

    private byte[] Line(HttpContext context, string stage)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { SkipValidation = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("kind"u8, "Event"u8);
            json.WriteString("apiVersion"u8, "audit.k8s.io/v1"u8);
            json.WriteString("level"u8, Level.ToString());
            json.WriteString("auditID"u8, _id);
            json.WriteString("stage"u8, stage);
            json.WriteString("requestURI"u8, Cut(context.Request.Path.ToUriComponent() + context.Request.QueryString));
            json.WriteString("verb"u8, verb);
            UserJson.Write(json, "user", _user);
            if (_impersonated is not null) UserJson.Write(json, "impersonatedUser", _impersonated);
            json.WriteStartArray("sourceIPs"u8);
            if (context.Connection.RemoteIpAddress is { } from) json.WriteStringValue(from.ToString());
            json.WriteEndArray();
            json.WriteString("userAgent"u8, Cut(context.Request.Headers.UserAgent.ToString()));
            if (asked is { } path) WriteReference(json, path, path.Name.Length > 0 ? path.Name : _name);
            json.WriteStartObject("responseStatus"u8);
            json.WriteNumber("code"u8, _refusal?.Code ?? context.Response.StatusCode);
            if (_refusal is { Reason.Length: > 0 } refusal)
            {
                json.WriteString("status"u8, "Failure"u8);
                json.WriteString("reason"u8, refusal.Reason);
                // Messages may repeat values of what was sent.
                if (asked is not { } sent || !IsSecret(sent)) json.WriteString("message"u8, Cut(refusal.Message));
            }
            json.WriteEndObject();
            WriteObject(json, "requestObject", _request);
            WriteObject(json, "responseObject", _response);
            json.WriteString("requestReceivedTimestamp"u8, _received.ToString(TimeFormat, CultureInfo.InvariantCulture));
            json.WriteString("stageTimestamp"u8, time.GetUtcNow().ToString(TimeFormat, CultureInfo.InvariantCulture));
            json.WriteStartObject("annotations"u8);
            json.WriteString("authorization.k8s.io/decision"u8, _isForbidden ? "forbid"u8 : "allow"u8);
            foreach (var (key, value) in Annotations) json.WriteString(key, value);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteReference(Utf8JsonWriter json, RequestPath path, string name)
    {
        json.WriteStartObject("objectRef"u8);
        json.WriteString("resource"u8, path.Kind.Plural);
        if (path.Namespace is { Length: > 0 } ns) json.WriteString("namespace"u8, ns);
        if (name.Length > 0) json.WriteString("name"u8, name);
        if (path.Kind.Group.Length > 0) json.WriteString("apiGroup"u8, path.Kind.Group);
        json.WriteString("apiVersion"u8, path.Kind.Version);
        if (path.Subresource.Length > 0) json.WriteString("subresource"u8, path.Subresource);
        json.WriteEndObject();
    }

    /// <summary>What is no JSON (a body that was refused) is left out.</summary>
    private static void WriteObject(Utf8JsonWriter json, string name, ReadOnlyMemory<byte> body)
    {
        if (body.IsEmpty) return;
        try
        {
            using var parsed = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = Limits.JsonDepthMax });
            json.WritePropertyName(name);
            parsed.RootElement.WriteTo(json);
        }
        catch (JsonException)
        {
            json.WriteString(name, "no JSON");
        }
    }

    private static string Cut(string text) => text.Length > TextCharsMax ? text[..TextCharsMax] + "…" : text;
}
