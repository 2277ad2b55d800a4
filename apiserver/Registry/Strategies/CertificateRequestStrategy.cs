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
    private const string NoBlock = "PEM block type must be CERTIFICATE REQUEST, without headers, and nothing else around it";
    private const string Organization = "2.5.4.10";
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
        foreach (var (name, value) in Authentication.UserJson.Of(user)) spec[name] = value?.DeepClone();
    }

    public override void PrepareForUpdate(JsonObject json, JsonObject old, WriteContext context) => Canonical.CopyMember(old, json, "spec");

    public override void PrepareSubresource(string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        base.PrepareSubresource(subresource, json, old, context);
        var (status, before) = (json.Need("status"), old.Object("status") ?? []);
        // An approval decides and signs nothing; who signs decides nothing.
        if (subresource == "approval") Canonical.CopyMember(before, status, "certificate");
        if (subresource == "status") KeepDecision(status, before);
        var now = Metadata.Time(context.Time.GetUtcNow());
        foreach (var condition in Conditions(status))
        {
            condition.Default("lastUpdateTime", now);
            condition.Default("lastTransitionTime", now);
        }
    }

    public override void MayChange(User user, string subresource, JsonObject json, JsonObject old, WriteContext context)
    {
        var kind = Api.Kinds.Kind.Find("certificates.k8s.io", "v1", "certificatesigningrequests")!;
        var (status, before) = (json.Object("status") ?? [], old.Object("status") ?? []);
        if (subresource == "status")
        {
            var added = Conditions(status).Select(x => x.Text("type")).Where(ApprovalDecides).Except(Conditions(before).Select(x => x.Text("type")));
            List<StatusCause> causes = [.. added.Select(x => Rules.Forbidden("status.conditions", $"updates may not add a condition of type \"{x}\""))];
            if (causes.Count > 0) throw Status.Invalid(kind, Metadata.Name(json), causes);
        }
        var verb = subresource switch
        {
            "approval" => "approve",
            "status" when !JsonNode.DeepEquals(status["certificate"], before["certificate"]) || !JsonNode.DeepEquals(status["conditions"], before["conditions"]) => "sign",
            _ => "",
        };
        if (verb.Length == 0) return;
        var signer = old.Object("spec")?.Text("signerName") ?? "";
        var domain = signer.Split('/')[0] + "/*";
        if (context.Options.Allows(user, Signers(signer)) || context.Options.Allows(user, Signers(domain))) return;
        throw Status.Forbidden(kind, Metadata.Name(json), $"user not permitted to {verb} requests with signerName \"{signer}\"");

        AccessQuestion Signers(string name) => new(verb, "certificates.k8s.io", "signers") { Name = name };
    }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        Decided(json.Object("status") ?? [], old?.Object("status") ?? [], causes);
        if (old is not null) return;
        var spec = new Part(json.Need("spec"), "spec", causes);
        X500DistinguishedName? subject = null;
        if (spec.Needs("request") && Error(spec.Text("request"), out subject) is { } error) spec.Causes.Add(Metadata.Invalid("spec.request", "", error));
        spec.Needs("usages");
        if (spec.Number("expirationSeconds") is < 600) spec.Invalid("expirationSeconds", "may not specify a duration less than 600 seconds (10 minutes)");
        if (!spec.Needs("signerName")) return;
        var signer = spec.Text("signerName").Split('/');
        if (signer.Length != 2 || Names.SubdomainError(signer[0]) is not null || !signer[0].Contains('.', StringComparison.Ordinal) || signer[1].Length == 0)
        {
            spec.Invalid("signerName", "must be a fully qualified domain and path of the form 'example.com/signer-name'");
        }
        else if (spec.Text("signerName") == ClientSigner && subject is not null && Refusal(subject) is { } why)
        {
            spec.Forbidden("request", $"use of {ClientSigner} signer with {why} is not allowed");
        }
    }

    // A decision stays as it was made; that none appears here, and none goes, MayChange sees to.
    private static void KeepDecision(JsonObject status, JsonObject before)
    {
        foreach (var condition in Conditions(status).Where(x => ApprovalDecides(x.Text("type"))).ToList())
        {
            if (Conditions(before).FirstOrDefault(x => x.Text("type") == condition.Text("type")) is { } made) condition.ReplaceWith(made.DeepClone());
        }
    }

    private static bool ApprovalDecides(string type) => type is "Approved" or "Denied";

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

    private static string? Error(string request, out X500DistinguishedName? subject)
    {
        subject = null;
        var bytes = new byte[request.Length];
        if (!Convert.TryFromBase64String(request, bytes, out var length)) return NoBlock;
        // One block and nothing around it: a signer that reads another one than was judged would sign what nobody has seen.
        var text = Encoding.ASCII.GetString(bytes, 0, length).Trim();
        if (!PemEncoding.TryFind(text, out var block) || text[block.Label] != BlockLabel || block.Location.GetOffsetAndLength(text.Length) != (0, text.Length)) return NoBlock;
        try
        {
            var read = CertificateRequest.LoadSigningRequest(Convert.FromBase64String(text[block.Base64Data]), HashAlgorithmName.SHA256, CertificateRequestLoadOptions.SkipSignatureValidation).SubjectName;
            foreach (var name in read.EnumerateRelativeDistinguishedNames())
            {
                if (!name.HasMultipleElements) _ = name.GetSingleElementValue();
            }
            subject = read;
            return null;
        }
        catch (CryptographicException e)
        {
            return $"must be a certificate request: {e.Message}";
        }
    }

    /// <summary>What a client's certificate may not have in its subject; null where it has nothing of it.</summary>
    private static string? Refusal(X500DistinguishedName subject)
    {
        foreach (var name in subject.EnumerateRelativeDistinguishedNames())
        {
            if (name.HasMultipleElements) return "a relative distinguished name of several values";
            if (name.GetSingleElementType().Value == Organization && name.GetSingleElementValue() == User.Masters) return $"{User.Masters} group";
        }
        return null;
    }
}
