using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Authentication;
using Declarative.Tests.Client;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

/// <summary>The keys of ServiceAccount tokens are changed: what the old one has signed lives on while it stands in the file.</summary>
public sealed class AccountKeyTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Tokens_of_the_key_before_are_taken_as_long_as_it_stands_in_the_file(bool stands)
    {
        using var old = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var now = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await using var server = await RunningFace.Start(options =>
        {
            Directory.CreateDirectory(Path.Combine(options.Directory, "pki"));
            // Of the old one the public half will do.
            File.WriteAllText(Path.Combine(options.Directory, "pki", "sa.key"), now.ExportECPrivateKeyPem() + "\n" + (stands ? old.ExportSubjectPublicKeyInfoPem() + "\n" : ""));
            return options with { ServesTasks = true };
        });
        using var admin = server.Client();
        var account = (Stored?)null;
        await Eventually.Async(async () =>
        {
            account = (await server.Admin.List(new(Kind.ServiceAccount, "default"), Stop)).Items.FirstOrDefault(x => x.Key.Name == "default");
            return account is not null;
        }, "the account");
        var fresh = (await admin.PostAsync("/api/v1/namespaces/default/serviceaccounts/default/token", "{}".Body(), Stop).Json(201)).Text("status", "token");
        using var before = Jwt.Read("old", old.ExportPkcs8PrivateKeyPem());
        var claims = JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(fresh.Split('.')[1]))!.AsObject();

        Assert.Equal(201, await Code(fresh));
        Assert.Equal(stands ? 201 : 401, await Code(before.Sign(claims)));
        var keys = (await admin.GetAsync("/openid/v1/jwks", Stop).Json()).GetProperty("keys").EnumerateArray().Select(x => x.Text("kid")).ToList();
        Assert.Equal(stands ? 2 : 1, keys.Count);
        Assert.Equal(keys[0], JsonNode.Parse(System.Buffers.Text.Base64Url.DecodeFromChars(fresh.Split('.')[0]))!["kid"]!.GetValue<string>());
        Assert.Equal(stands, keys.Contains((string)before.PublicKeys().Single()["kid"]!));

        async Task<int> Code(string token)
        {
            using var bearer = server.Client("nobody");
            bearer.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var answer = await bearer.PostAsync("/apis/authentication.k8s.io/v1/selfsubjectreviews", """{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}""".Body(), Stop);
            return (int)answer.StatusCode;
        }
    }

    [Fact]
    public void A_file_without_a_key_that_signs_says_what_was_expected()
    {
        using var pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using var same = ECDsa.Create(ECCurve.CreateFromFriendlyName("secp256k1"));
        using var rsa = RSA.Create(2048);
        foreach (var (pem, why) in ((string, string)[])[("", "there is no key"), (pair.ExportSubjectPublicKeyInfoPem(), "the first key is public"), (other.ExportPkcs8PrivateKeyPem(), "key 1 is of 384 bits"), (same.ExportPkcs8PrivateKeyPem(), "key 1 is of another curve"), (rsa.ExportPkcs8PrivateKeyPem(), "")])
        {
            var message = Assert.Throws<InvalidDataException>(() => Jwt.Read("sa.key", pem)).Message;
            Assert.StartsWith("sa.key: " + why, message, StringComparison.Ordinal);
            Assert.EndsWith("expected PEM with a private key of curve P-256 that signs, then those, private or public, whose tokens are still taken", message, StringComparison.Ordinal);
        }
    }
}
