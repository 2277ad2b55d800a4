using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission;

/// <summary>
/// Kubernetes' admission plugin ServiceAccount: a new pod runs as an account that is there, and gets its imagePullSecrets where it names none.
/// Account <c>default</c> may be missing still: each namespace gets it a moment after it was made.
/// </summary>
internal sealed class ServiceAccounts(RevisionLog log)
{
    /// <exception cref="Declarative.Api.ApiException">403: there is no such account.</exception>
    public void Default(AdmissionRequest request)
    {
        if (request is not { Operation: "CREATE", Subresource: "", Object: { } pod } || !request.Key.Kind.Equals(Kind.Pod)) return;
        var spec = pod.Need("spec");
        var name = spec.Text("serviceAccountName") is { Length: > 0 } named ? named : "default";
        if (log.Get(new(Kind.ServiceAccount, request.Key.Namespace, name)) is not { } account)
        {
            // A name that is none is told of by validation, with its field.
            if (name == "default" || Names.SubdomainError(name) is not null) return;
            throw Status.Forbidden(request.Key.Kind, request.Key.Name, $"error looking up service account {request.Key.Namespace}/{name}: serviceaccount \"{name}\" not found");
        }
        if (spec.List("imagePullSecrets") is { Count: > 0 }) return;
        if (Canonical.Parse(account.Stored.Json).List("imagePullSecrets") is { Count: > 0 } secrets) spec["imagePullSecrets"] = (JsonArray)secrets.DeepClone();
    }
}
