using Declarative.Api;

namespace Declarative.ApiServer.Authentication;

/// <summary>A user whom this server gives credentials: a client certificate and a token in <c>pki/</c>, and a kubeconfig.</summary>
/// <param name="Role">File name stem: <c>pki/ROLE.crt</c>, <c>pki/ROLE.key</c>, <c>pki/ROLE.kubeconfig</c>.</param>
public sealed record Identity(string Role, User User)
{
    public static IReadOnlyList<Identity> All { get; } =
    [
        new("admin", User.Admin),
        new("placement", User.Placement),
        new("controllers", User.Controllers),
        new("dns", User.Dns),
        new("lb", User.Lb),
    ];
}
