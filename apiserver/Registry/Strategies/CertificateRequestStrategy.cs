using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>
/// Certificate signing requests (Kubernetes: pkg/apis/certificates/validation, plugin/pkg/admission/certificates): who asks is noted, what is asked
/// never changes, and approving and signing for a signer are rights of their own.
/// </summary>
internal sealed class CertificateRequestStrategy : Strategy
{
    private const string BlockLabel = "CERTIFICATE REQUEST";
    private const string ClientSigner = "kubernetes.io/kube-apiserver-client";
    private static readonly string[] Decisions = ["Approved", "Denied", "Failed"];

    public CertificateRequestStrategy() => HasStatus = true;

    public override bool HasGeneration => false;

    public override bool ValidatesSubresources => true;

    public override IReadOnlyList<string> SelectableFields => ["spec.signerName"];

    public override void Requested(JsonObject json, User user)
    {
        var spec = json.Need("spec");
        foreach (var name in (ReadOnlySpan<string>)["uid", "extra"]) spec.Remove(name);
        spec["username"] = user.Name;
        spec["groups"] = new JsonArray([.. user.Groups.Select(x => (JsonNode)x)]);
    }

    public override void PrepareForUpdate(JsonObject json, JsonObject old, WriteContext context) => Canonical.CopyMember(old, json, "spec");

    public override void PrepareSubresource(string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        base.PrepareSubresource(subresource, json, old, context);
        var (status, before) = (json.Need("status"), old.Object("status") ?? []);
        // An approval decides and signs nothing; who signs decides nothing.
        if (subresource == "approval") Canonical.CopyMember(before, status, "certificate");
        var now = Metadata.Time(context.Time.GetUtcNow());
        foreach (var condition in Conditions(status))
        {
            condition.Default("lastUpdateTime", now);
            condition.Default("lastTransitionTime", now);
        }
    }

    public override void MayChange(User user, string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        var verb = subresource switch
        {
            "approval" => "approve",
            "status" when !JsonNode.DeepEquals(json.Object("status")?["certificate"], old.Object("status")?["certificate"]) => "sign",
            _ => "",
        };
        if (verb.Length == 0) return;
        var signer = old.Object("spec")?.Text("signerName") ?? "";
        var domain = signer.Split('/')[0] + "/*";
        if (context.Options.Allows(user, Signers(signer)) || context.Options.Allows(user, Signers(domain))) return;
        throw Status.Forbidden(Api.Kinds.Kind.Find("certificates.k8s.io", "v1", "certificatesigningrequests")!, Metadata.Name(json), $"user not permitted to {verb} requests with signerName \"{signer}\"");

        AccessQuestion Signers(string name) => new(verb, "certificates.k8s.io", "signers") { Name = name };
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        Decided(json.Object("status") ?? [], old?.Object("status") ?? [], causes);
        if (old is not null) return;
        var spec = new Part(json.Need("spec"), "spec", causes);
        var der = Array.Empty<byte>();
        if (spec.Needs("request") && Error(spec.Text("request"), out der) is { } error) spec.Causes.Add(Metadata.Invalid("spec.request", "", error));
        spec.Needs("usages");
        if (spec.Number("expirationSeconds") is < 600) spec.Invalid("expirationSeconds", "may not specify a duration less than 600 seconds (10 minutes)");
        if (!spec.Needs("signerName")) return;
        var signer = spec.Text("signerName").Split('/');
        if (signer.Length != 2 || Names.SubdomainError(signer[0]) is not null || !signer[0].Contains('.', StringComparison.Ordinal) || signer[1].Length == 0)
        {
            spec.Invalid("signerName", "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        }
        else if (spec.Text("signerName") == ClientSigner && NamesMasters(der))
        {
            spec.Forbidden("request", $"use of {ClientSigner} signer with {User.Masters} group is not allowed");
        }
    }

    // Conditions of a decision are True, contradict each other nowhere, and stay.
    private static void Decided(JsonObject status, JsonObject before, List<StatusCause> causes)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var list = new Part(status, "status", causes);
        foreach (var condition in list.Items("conditions"))
        {
            if (!condition.Needs("type")) continue;
            var type = condition.Text("type");
            condition.Needs("status");
            if (Decisions.Contains(type) && condition.Text("status") != "True") condition.Invalid("status", $"{type} conditions must have status \"True\"");
            if (!seen.Add(type)) causes.Add(Rules.Duplicate(condition.At("type"), type));
            if ((type == "Approved" && seen.Contains("Denied")) || (type == "Denied" && seen.Contains("Approved"))) condition.Invalid("type", "Approved and Denied conditions are mutually exclusive");
        }
        foreach (var type in Conditions(before).Select(x => x.Text("type")).Where(x => Decisions.Contains(x) && !seen.Contains(x))) list.Forbidden("conditions", $"updates may not remove a condition of type \"{type}\"");
        if (before.Text("certificate").Length > 0 && before.Text("certificate") != status.Text("certificate")) list.Forbidden("certificate", "updates may not modify existing certificate content");
    }

    private static IEnumerable<JsonObject> Conditions(JsonObject status) => (status.List("conditions") ?? []).OfType<JsonObject>();

    private static string? Error(string request, out byte[] der)
    {
        der = [];
        var bytes = new byte[request.Length];
        if (!Convert.TryFromBase64String(request, bytes, out var length)) return "PEM block type must be CERTIFICATE REQUEST";
        var text = Encoding.ASCII.GetString(bytes, 0, length);
        if (!PemEncoding.TryFind(text, out var block) || text[block.Label] != BlockLabel) return "PEM block type must be CERTIFICATE REQUEST";
        der = Convert.FromBase64String(text[block.Base64Data]);
        return null;
    }

    private static bool NamesMasters(byte[] der)
    {
        try
        {
            var request = CertificateRequest.LoadSigningRequest(der, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.SkipSignatureValidation);
            return request.SubjectName.EnumerateRelativeDistinguishedNames().Any(x => x.GetSingleElementType().Value == "2.5.4.10" && x.GetSingleElementValue() == User.Masters);
        }
        catch (CryptographicException)
        {
            return false; // Nothing can be made of it; its signer says so.
        }
    }
}
