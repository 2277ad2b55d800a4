using Declarative.Api.Schema;

namespace Declarative.ApiServer.OpenApi;

/// <summary>Names of schemas in OpenAPI documents: those that Kubernetes uses, because clients know some of them.</summary>
internal static class SchemaNames
{
    /// <param name="type">As in the table: <c>apps.v1.Deployment</c>, <c>Time</c>, <c>resource.Quantity</c>.</param>
    public static string Of(string type) => type switch
    {
        "Time" or "MicroTime" or "Duration" or "FieldsV1" => "io.k8s.apimachinery.pkg.apis.meta.v1." + type,
        "resource.Quantity" => "io.k8s.apimachinery.pkg.api.resource.Quantity",
        "intstr.IntOrString" => "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        "runtime.RawExtension" => "io.k8s.apimachinery.pkg.runtime.RawExtension",
        _ => Package(type),
    };

    private static string Package(string type)
    {
        var end = type.IndexOf('.', StringComparison.Ordinal);
        return type[..end] switch
        {
            "meta" => "io.k8s.apimachinery.pkg.apis." + type,
            "apiextensions" => "io.k8s.apiextensions-apiserver.pkg.apis." + type,
            "apiregistration" => "io.k8s.kube-aggregator.pkg.apis." + type,
            "declarative" => "mesos." + type,
            _ when IsGroup(type) => Reversed(type),
            _ => "io.k8s.api." + type,
        };
    }

    // A package is one word; a type is PACKAGE.VERSION.KIND.
    private static bool IsGroup(string type) => type.Count(x => x == '.') > 2;

    // A group that is no package of the table, such as metrics.k8s.io: io.k8s.metrics.v1beta1.PodMetrics.
    private static string Reversed(string type)
    {
        var (group, version, kind) = TypeNames.KindOf(type);
        return string.Join('.', group.Split('.').Reverse()) + $".{version}.{kind}";
    }
}
