using System.Buffers;
using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http.Audit;

/// <summary>
/// What is learnt of one request for its audit event. A feature of the request's context while it is answered. Objects that hold secrets
/// (Secrets, tokens) are never kept, whatever the policy says.
/// </summary>
internal sealed class AuditedRequest(AuditLog log, TimeProvider time)
{
    public const string Header = "Audit-Id";
    private const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.ffffffZ";
    private const int TextCharsMax = 1024;

    private readonly DateTimeOffset _received = time.GetUtcNow();
    private readonly string _id = Guid.NewGuid().ToString();
    private User? _impersonator;
    private User? _user;
    private RequestPath? _path;
    private string _verb = "";
    private string _name = "";
    private ReadOnlyMemory<byte> _request;
    private ReadOnlyMemory<byte> _response;
    private Status? _refusal;

    public AuditLevel Level { get; private set; }

    /// <summary>null where this server keeps no audit log.</summary>
    public static AuditedRequest? Of(HttpContext context) => context.Features.Get<AuditedRequest>();

    public void Begin(HttpContext context)
    {
        context.Features.Set(this);
        context.Response.Headers[Header] = _id;
    }

    /// <summary>Who asks; the second is who the first says to be.</summary>
    public void Asks(User authenticated, User acting)
    {
        _user = authenticated;
        if (!ReferenceEquals(authenticated, acting)) (_impersonator, _user) = (acting, authenticated);
    }

    public void Decide(string verb, RequestPath? path, string url)
    {
        (_verb, _path) = (verb, path);
        var acting = _impersonator ?? _user!;
        var subject = path is { } asked
            ? new AuditSubject(acting.Name, acting.Groups, verb, asked.Kind.Group, asked.Subresource.Length == 0 ? asked.Kind.Plural : $"{asked.Kind.Plural}/{asked.Subresource}", asked.Namespace ?? "", asked.Name, "")
            : new AuditSubject(acting.Name, acting.Groups, verb, "", "", "", "", url);
        Level = log.Policy.LevelOf(subject);
        if (Level > AuditLevel.Metadata && path is { } secret && IsSecret(secret)) Level = AuditLevel.Metadata;
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

    public void Refused(Status status) => _refusal = status;

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
            json.WriteString("verb"u8, _verb);
            Write(json, "user", _user!);
            if (_impersonator is not null) Write(json, "impersonatedUser", _impersonator);
            json.WriteStartArray("sourceIPs"u8);
            if (context.Connection.RemoteIpAddress is { } from) json.WriteStringValue(from.ToString());
            json.WriteEndArray();
            json.WriteString("userAgent"u8, Cut(context.Request.Headers.UserAgent.ToString()));
            if (_path is { } path) WriteReference(json, path, path.Name.Length > 0 ? path.Name : _name);
            json.WriteStartObject("responseStatus"u8);
            json.WriteNumber("code"u8, _refusal?.Code ?? context.Response.StatusCode);
            if (_refusal is { Reason.Length: > 0 } refusal)
            {
                json.WriteString("status"u8, "Failure"u8);
                json.WriteString("reason"u8, refusal.Reason);
                // Messages may repeat values of what was sent.
                if (_path is not { } asked || !IsSecret(asked)) json.WriteString("message"u8, Cut(refusal.Message));
            }
            json.WriteEndObject();
            WriteObject(json, "requestObject", _request);
            WriteObject(json, "responseObject", _response);
            json.WriteString("requestReceivedTimestamp"u8, _received.ToString(TimeFormat, CultureInfo.InvariantCulture));
            json.WriteString("stageTimestamp"u8, time.GetUtcNow().ToString(TimeFormat, CultureInfo.InvariantCulture));
            json.WriteStartObject("annotations"u8);
            json.WriteString("authorization.k8s.io/decision"u8, _refusal is { Code: 403 } ? "forbid"u8 : "allow"u8);
            json.WriteEndObject();
            json.WriteEndObject();
        }
        return buffer.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter json, string name, User user)
    {
        json.WriteStartObject(name);
        json.WriteString("username"u8, user.Name);
        json.WriteStartArray("groups"u8);
        foreach (var group in user.Groups) json.WriteStringValue(group);
        json.WriteEndArray();
        json.WriteEndObject();
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
