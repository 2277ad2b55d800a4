using System.Text.Json.Nodes;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission.Webhooks;

/// <summary>How a webhook is reached: by URL, or by a Service of this cluster.</summary>
/// <param name="Url">null where a Service is meant.</param>
/// <param name="CaBundle">PEM, empty = the roots of this machine.</param>
public sealed record HookTarget(Uri? Url, string ServiceNamespace, string ServiceName, int ServicePort, string ServicePath, string CaBundle);

/// <summary>POSTs a review and returns the answer's body.</summary>
/// <exception cref="HookException">No answer, or one that is not 200; the message is for the user.</exception>
public delegate Task<ReadOnlyMemory<byte>> CallHook(HookTarget target, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken stop);

/// <summary>A webhook that could not be called.</summary>
public sealed class HookException(string message, Exception? cause = null) : Exception(message, cause);

/// <summary>The clientConfig of webhooks (admissionregistration.k8s.io/v1 and apiextensions.k8s.io/v1 share it).</summary>
internal static class ClientConfig
{
    private const int HttpsPort = 443;

    /// <summary>A configuration that <see cref="Check"/> has accepted.</summary>
    public static HookTarget Read(JsonObject client)
    {
        var bundle = client.Text("caBundle") is { Length: > 0 } encoded ? System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(encoded)) : "";
        var service = client.Object("service") ?? [];
        return new(client.Text("url") is { Length: > 0 } url ? new Uri(url) : null, service.Text("namespace"), service.Text("name"), (int)(service.Number("port") ?? HttpsPort), service.Text("path"), bundle);
    }

    public static void Check(JsonObject client, string path, List<StatusCause> causes)
    {
        var (url, service) = (client.Text("url"), client.Object("service"));
        if (url.Length > 0 == service is not null) causes.Add(Metadata.Required(path, "exactly one of url or service is required"));
        if (url.Length > 0)
        {
            if (!Uri.TryCreate(url, UriKind.Absolute, out var parsed)) causes.Add(Metadata.Invalid($"{path}.url", url, "url must be a valid URL, e.g. https://example.com/webhook"));
            else if (parsed.Scheme != "https") causes.Add(Metadata.Invalid($"{path}.url", url, "'https' is the only allowed URL scheme; desired format: https://host[/path]"));
            else if (parsed.UserInfo.Length + parsed.Query.Length + parsed.Fragment.Length > 0) causes.Add(Metadata.Invalid($"{path}.url", url, "user information, query parameters and fragments are not permitted in the URL"));
        }
        if (service is not null)
        {
            foreach (var field in (ReadOnlySpan<string>)["name", "namespace"])
            {
                if (service.Text(field).Length == 0) causes.Add(Metadata.Required($"{path}.service.{field}", "is required"));
            }
            if (service.Number("port") is < 1 or > 65535) causes.Add(Metadata.InvalidJson($"{path}.service.port", service["port"], "port is not valid: must be between 1 and 65535, inclusive"));
        }
        if (client.Text("caBundle") is not { Length: > 0 } bundle) return;
        try
        {
            new System.Security.Cryptography.X509Certificates.X509Certificate2Collection().ImportFromPem(System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(bundle)));
        }
        catch (Exception e) when (e is FormatException or System.Security.Cryptography.CryptographicException)
        {
            causes.Add(Metadata.Invalid($"{path}.caBundle", "<caBundle>", "unable to load root certificates: expected PEM in base64"));
        }
    }
}
