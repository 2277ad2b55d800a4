using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>HTTP basic authentication of a master that has credentials, with a real one's realms and open paths.</summary>
internal static class BasicAuthentication
{
    private const string Scheme = "Basic ";

    /// <summary>Null for what everybody may ask.</summary>
    /// <param name="path">Without <c>/master</c> in front.</param>
    public static string? RealmOf(string path) =>
        path switch
        {
            "/health" or "/version" or "/redirect" => null,
            "/api/v1/scheduler" => "mesos-master-scheduler",
            "/api/v1" => "mesos-master-readwrite",
            _ when path.StartsWith("/api/v1/", StringComparison.Ordinal) => "mesos-master-readwrite",
            "/teardown" or "/machine/down" or "/machine/up" => "mesos-master-readwrite",
            _ => "mesos-master-readonly",
        };

    /// <summary>Who asks; null without right credentials.</summary>
    /// <param name="credentials">Secrets by principal.</param>
    public static string? PrincipalOf(HttpRequest request, IReadOnlyDictionary<string, string> credentials)
    {
        var header = request.Headers.Authorization.ToString();
        if (!header.StartsWith(Scheme, StringComparison.Ordinal))
            return null;
        var decoded = new byte[header.Length];
        if (!Convert.TryFromBase64String(header[Scheme.Length..], decoded, out var length))
            return null;
        if (Encoding.UTF8.GetString(decoded.AsSpan(0, length)).Split(':', 2) is not [var principal, var secret])
            return null;
        return credentials.TryGetValue(principal, out var known) && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(known), Encoding.UTF8.GetBytes(secret)) ? principal : null;
    }

    public static Task Refuse(HttpContext context, string realm)
    {
        context.Response.Headers.WWWAuthenticate = $"Basic realm=\"{realm}\"";
        return Answer.Text(context, 401, "401 Unauthorized.");
    }
}
