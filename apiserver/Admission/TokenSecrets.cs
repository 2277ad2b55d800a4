using System.Text;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission;

/// <summary>
/// Fills Secrets of type <c>kubernetes.io/service-account-token</c> (Kubernetes doc "Managing Service Accounts", long-lived tokens): a token of
/// the account that annotation <c>kubernetes.io/service-account.name</c> names, bound to the Secret, so that it ends with it; the authority's
/// certificate, and the namespace. One whose account is not there yet is filled when it is.
/// </summary>
/// <param name="issue">Makes a token: the account and a TokenRequest's spec; the request with its status.</param>
internal sealed class TokenSecrets(IApi api, Func<ResourceKey, JsonObject, CancellationToken, Task<JsonObject>> issue, string rootCertificate, TimeProvider time)
{
    private const string Type = "kubernetes.io/service-account-token";
    private const string AccountName = "kubernetes.io/service-account.name";
    private const string AccountUid = "kubernetes.io/service-account.uid";

    /// <summary>A hundred years: such a token ends with its Secret.</summary>
    private const long Seconds = 3_153_600_000;

    /// <summary>Follows Secrets and accounts until <paramref name="stop"/>. Its owner awaits it.</summary>
    public Task Run(CancellationToken stop) => Completion.OfAll(
        Following.Objects(api, new WatchRequest(Kind.Secret) { Fields = FieldSelector.Of("type", Type) }, (type, secret) => type == WatchEventType.Deleted ? Task.CompletedTask : Fill(secret, stop), time, stop),
        Following.Objects(api, new WatchRequest(Kind.ServiceAccount), (type, account) => type == WatchEventType.Added ? FillAll(account.Key, stop) : Task.CompletedTask, time, stop));

    private async Task FillAll(ResourceKey account, CancellationToken stop)
    {
        var secrets = await api.List(new(Kind.Secret, account.Namespace) { Fields = FieldSelector.Of("type", Type) }, stop);
        foreach (var secret in secrets.Items) await Fill(secret, stop);
    }

    private async Task Fill(Stored secret, CancellationToken stop)
    {
        var json = Canonical.Parse(secret.Json);
        if (Metadata.IsDeleting(json) || json.Object("data")?.Text("token") is { Length: > 0 }) return;
        if (Metadata.Of(json).Object("annotations")?.Text(AccountName) is not { Length: > 0 } name) return;
        try
        {
            var account = await api.Get(ResourceKey.Of(Kind.ServiceAccount, secret.Key.Namespace, name), stop: stop);
            var request = new JsonObject
            {
                ["spec"] = new JsonObject { ["expirationSeconds"] = Seconds, ["boundObjectRef"] = new JsonObject { ["kind"] = "Secret", ["name"] = secret.Key.Name, ["uid"] = secret.Uid } },
            };
            var token = (await issue(account.Key, request, stop)).Object("status")!.Text("token");
            var patch = new JsonObject
            {
                ["metadata"] = new JsonObject { ["uid"] = secret.Uid, ["annotations"] = new JsonObject { [AccountUid] = account.Uid } },
                ["data"] = new JsonObject { ["token"] = InBase64(token), ["ca.crt"] = InBase64(rootCertificate), ["namespace"] = InBase64(secret.Key.Namespace) },
            };
            await api.Patch(secret.Key, PatchKind.Merge, Encoding.UTF8.GetBytes(patch.ToJsonString()), stop: stop);
        }
        catch (ApiException refused) when (!refused.IsRetryable)
        {
            // The account is yet to come, the Secret is gone, changed or immutable: another event may follow, and other Secrets go on.
            return;
        }
    }

    private static string InBase64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));
}
