using Declarative.Client.Http;
using Xunit;

namespace Declarative.Tests.Client;

public sealed class KubeconfigTests
{
    private const string Text = """
        apiVersion: v1
        kind: Config
        current-context: two
        clusters:
        - {name: a, cluster: {server: "https://a:1"}}
        - name: b
          cluster:
            server: https://b:2/
            certificate-authority-data: Q0E=
            insecure-skip-tls-verify: false
        contexts:
        - name: one
          context: {cluster: a, user: anna}
        - name: two
          context: {cluster: b, user: ben, namespace: shop}
        users:
        - name: anna
          user: {token: secret}
        - name: ben
          user:
            client-certificate-data: Q0VSVA==
            client-key-data: S0VZ
        """;

    [Fact]
    public void The_current_context_is_taken()
    {
        var config = Kubeconfig.Read("/x/config", Text);
        Assert.Equal(("https://b:2/", "CA", "CERT", "KEY", "shop"), (config.Server.ToString(), config.AuthorityPem, config.ClientCertificatePem, config.ClientKeyPem, config.Namespace));
        Assert.DoesNotContain("KEY", config.ToString());
    }

    [Fact]
    public void Another_context_can_be_asked_for() => Assert.Equal("secret", Kubeconfig.Read("/x/config", Text, "one").Token);

    [Fact]
    public void Files_are_taken_from_the_folder_of_the_kubeconfig()
    {
        var directory = Directory.CreateTempSubdirectory("declarative-kubeconfig-").FullName;
        File.WriteAllText(Path.Combine(directory, "ca.crt"), "the CA");
        var config = Kubeconfig.Read(Path.Combine(directory, "config"), Text.Replace("certificate-authority-data: Q0E=", "certificate-authority: ca.crt", StringComparison.Ordinal));
        Assert.Equal("the CA", config.AuthorityPem);
        Directory.Delete(directory, recursive: true);
    }

    [Theory]
    [InlineData("two", "three", "contexts: there is none of the name \"three\"")]
    [InlineData("https://b:2/", "b:2", "clusters[].cluster.server")]
    [InlineData("client-key-data: S0VZ", "client-key-data: '%'", "client-key-data: not base64")]
    [InlineData("client-key-data: S0VZ", "exec: {command: x}", "users[].user.exec: not supported")]
    [InlineData("- name: anna", "- name: [", "not YAML")]
    [InlineData("- name: anna", "- name: {]", "line ")]
    public void What_is_wrong_is_named(string from, string to, string expected)
    {
        var at = Text.IndexOf(from, StringComparison.Ordinal);
        var e = Assert.Throws<KubeconfigException>(() => Kubeconfig.Read("/x/config", Text[..at] + to + Text[(at + from.Length)..]));
        Assert.StartsWith("/x/config: ", e.Message);
        Assert.Contains(expected, e.Message);
    }
}
