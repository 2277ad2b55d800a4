using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Admission;

/// <summary>What exists in every cluster from the first start.</summary>
internal static class Bootstrap
{
    public const string DefaultNamespace = "default";
    private static readonly string[] Namespaces = [DefaultNamespace, "kube-system", "kube-public", "kube-node-lease"];

    /// <summary>Namespaces that can not be deleted (Kubernetes' NamespaceLifecycle).</summary>
    public static bool IsPermanent(string ns) => ns is DefaultNamespace or "kube-system" or "kube-public";

    public static IEnumerable<(ResourceKey Key, ReadOnlyMemory<byte> Json)> Objects()
    {
        foreach (var name in Namespaces)
        {
            yield return (new(Kind.Namespace, "", name), Encoding.UTF8.GetBytes("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"" + name + "\"}}"));
        }
        foreach (var (name, value, what) in ((string, int, string)[])[("system-cluster-critical", 2_000_000_000, "the cluster"), ("system-node-critical", 2_000_001_000, "its node")])
        {
            yield return (new(Kind.Find("scheduling.k8s.io", "v1", "priorityclasses")!, "", name), Encoding.UTF8.GetBytes(
                $$$"""{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"{{{name}}}"},"value":{{{value}}},"description":"For pods without which {{{what}}} does not work."}"""));
        }
    }
}
