using System.Security.Cryptography;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;

namespace Declarative.Lb.Acme;

/// <summary>The account at one authority, kept as a Secret of <c>kube-system</c>: its key before it is used, its URL once it is known.</summary>
internal sealed class AcmeAccounts(IApi api, string directory)
{
    public const string Type = "declarative.mesos/acme-account";
    public const string Namespace = "kube-system";
    private const string KeyField = "key.pem";
    private const string UrlField = "url";

    /// <summary>The same in every balancer that uses this directory.</summary>
    public string Name { get; } = "acme-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(directory)))[..12];

    private ResourceKey Key => ResourceKey.Of(Kind.Secret, Namespace, Name);

    /// <summary>The key, and the account's URL or ""; null where the Secret holds none that can be used.</summary>
    public static (AcmeKey Key, string Url)? Read(Secret secret)
    {
        if (secret.Type != Type || !secret.Data.TryGetValue(KeyField, out var pem)) return null;
        try
        {
            return (AcmeKey.FromPem(Encoding.UTF8.GetString(pem)), secret.Data.TryGetValue(UrlField, out var url) ? Encoding.UTF8.GetString(url) : "");
        }
        catch (CryptographicException)
        {
            return null; // told by whoever needs it
        }
    }

    /// <summary>Finds the account's Secret, or makes it with a new key.</summary>
    /// <returns>What is stored, and the revision from which on every balancer can answer challenges with it.</returns>
    /// <exception cref="AcmeException">The Secret is there and holds no key that can be used.</exception>
    public async Task<(AcmeKey Key, string Url, long Revision)> Open(CancellationToken stop)
    {
        Stored stored;
        try
        {
            stored = await api.Get(Key, stop: stop);
        }
        catch (ApiException e) when (e.IsNotFound)
        {
            using var key = AcmeKey.Create();
            stored = await api.Create(Key, Body.Of(json =>
            {
                json.TypeMeta(Kind.Secret);
                json.Object("metadata", x =>
                {
                    x.WriteString("name"u8, Name);
                    x.WriteString("namespace"u8, Namespace);
                    x.Map("labels", [new(AcmeWishes.Label, "account")]);
                    x.Map("annotations", [new(AcmeWishes.Label + "-directory", directory)]);
                });
                json.WriteString("type"u8, Type);
                json.Object("data", x => x.WriteBase64String(KeyField, Encoding.UTF8.GetBytes(key.ToPem())));
            }), stop: stop);
        }
        var read = Read(Secret.Read(stored.Json)) ?? throw new AcmeException("", $"Secret {Namespace}/{Name}: expected type {Type} and a P-256 key in data.{KeyField}");
        return (read.Key, read.Url, stored.Revision);
    }

    public Task Registered(string url, CancellationToken stop) =>
        api.Patch(Key, PatchKind.Merge, Body.Of(json => json.Object("data", x => x.WriteBase64String(UrlField, Encoding.UTF8.GetBytes(url)))), stop: stop);
}
