namespace Declarative.Api;

/// <summary>Who asks: the name and groups that authentication found. RBAC decides by these alone; the rest is told to admission, audit and reviews.</summary>
public sealed record User(string Name, params IReadOnlyList<string> Groups)
{
    /// <summary>Tells users of one name apart that follow one another; "" = not known.</summary>
    public string Uid { get; init; } = "";

    /// <summary>More that authentication found, by key in the order found (authentication.k8s.io/v1 UserInfo).</summary>
    public IReadOnlyList<(string Key, IReadOnlyList<string> Values)> Extra { get; init; } = [];

    public const string Masters = "system:masters";
    public const string Authenticated = "system:authenticated";

    /// <summary>The cluster administrator of the generated kubeconfig.</summary>
    public static User Admin { get; } = new("admin", Masters, Authenticated);

    /// <summary>The identities of the platform's own roles, each with least privilege.</summary>
    public static User Placement { get; } = new("system:declarative:placement", "system:declarative", Authenticated);
    public static User Controllers { get; } = new("system:declarative:controllers", "system:declarative", Authenticated);
    public static User Dns { get; } = new("system:declarative:dns", "system:declarative", Authenticated);
    public static User Lb { get; } = new("system:declarative:lb", "system:declarative", Authenticated);
    public static User ApiServer { get; } = new("system:apiserver", Masters, Authenticated);
}
