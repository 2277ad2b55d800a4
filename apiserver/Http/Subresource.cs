namespace Declarative.ApiServer.Http;

/// <summary>What discovery says about a subresource: its verbs, and the kind of its body where that is not the parent's.</summary>
internal sealed record Subresource(string Name, string Verbs, string Group = "", string Version = "", string Kind = "")
{
    private static readonly Dictionary<string, Subresource> Table = new Subresource[]
    {
        new("status", "get,patch,update"),
        new("scale", "get,patch,update", "autoscaling", "v1", "Scale"),
        new("log", "get"),
        new("exec", "create,get", "", "v1", "PodExecOptions"),
        new("attach", "create,get", "", "v1", "PodAttachOptions"),
        new("portforward", "create,get", "", "v1", "PodPortForwardOptions"),
        new("proxy", "create,delete,get,patch,update"),
        new("eviction", "create", "policy", "v1", "Eviction"),
        new("binding", "create", "", "v1", "Binding"),
        new("ephemeralcontainers", "get,patch,update"),
        new("resize", "get,patch,update"),
        new("finalize", "update"),
        new("token", "create", "authentication.k8s.io", "v1", "TokenRequest"),
        new("approval", "get,patch,update"),
    }.ToDictionary(x => x.Name);

    public static Subresource Of(string name) => Table.GetValueOrDefault(name) ?? new(name, "get");
}
