using System.Text;

namespace Declarative.ApiServer.Authentication;

/// <summary>Writes kubeconfig files with everything embedded: context <c>declarative</c> by client certificate, <c>declarative-token</c> by bearer token.</summary>
public static class Kubeconfig
{
    /// <param name="server">For example <c>https://127.0.0.1:6443</c>.</param>
    public static void Write(string path, string server, Pki pki, Identity identity) =>
        PrivateFile.Write(path, Text(server, pki, identity));

    private static string Text(string server, Pki pki, Identity identity)
    {
        var name = identity.Role;
        return $"""
            apiVersion: v1
            kind: Config
            clusters:
            - name: declarative
              cluster:
                server: {server}
                certificate-authority-data: {Base64(pki.CaCertificate)}
            users:
            - name: {name}
              user:
                client-certificate-data: {Base64(pki.ClientCertificate(identity))}
                client-key-data: {Base64(pki.ClientKey(identity))}
            - name: {name}-token
              user:
                token: {pki.Token(identity)}
            contexts:
            - name: declarative
              context:
                cluster: declarative
                user: {name}
            - name: declarative-token
              context:
                cluster: declarative
                user: {name}-token
            current-context: declarative

            """;
    }

    private static string Base64(string pem) => Convert.ToBase64String(Encoding.UTF8.GetBytes(pem));
}
