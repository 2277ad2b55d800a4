using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Certificate signing requests (Kubernetes: pkg/apis/certificates/validation): a PEM block, a signer, and what the certificate is for; none of it changes.</summary>
internal sealed class CertificateRequestStrategy : Strategy
{
    private const string BlockLabel = "CERTIFICATE REQUEST";

    public CertificateRequestStrategy() => HasStatus = true;

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        if (old is not null) return;
        var spec = new Part(json.Need("spec"), "spec", causes);
        if (spec.Needs("request") && Error(spec.Text("request")) is { } error) spec.Causes.Add(Metadata.Invalid("spec.request", "", error));
        spec.Needs("usages");
        if (!spec.Needs("signerName")) return;
        var signer = spec.Text("signerName").Split('/');
        if (signer.Length != 2 || Names.SubdomainError(signer[0]) is not null || !signer[0].Contains('.', StringComparison.Ordinal) || signer[1].Length == 0)
        {
            spec.Invalid("signerName", "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        }
    }

    private static string? Error(string request)
    {
        var bytes = new byte[request.Length];
        if (!Convert.TryFromBase64String(request, bytes, out var length)) return "PEM block type must be CERTIFICATE REQUEST";
        var text = Encoding.ASCII.GetString(bytes, 0, length);
        return PemEncoding.TryFind(text, out var block) && text[block.Label] == BlockLabel ? null : "PEM block type must be CERTIFICATE REQUEST";
    }
}
