using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Reconcile;

namespace Declarative.Controllers.Volumes;

/// <summary>Adds and takes finalizers: a list is replaced as a whole, so only at the revision that was seen.</summary>
internal static class Finalizers
{
    public static Patch With(Kind kind, ObjectMeta of, string finalizer) => Set(kind, of, [.. of.Finalizers, finalizer]);

    public static Patch Without(Kind kind, ObjectMeta of, string finalizer) => Set(kind, of, [.. of.Finalizers.Where(x => x != finalizer)]);

    private static Patch Set(Kind kind, ObjectMeta of, IReadOnlyList<string> finalizers) => Change.Merge(ResourceKey.Of(kind, of.Namespace, of.Name), Body.Of(json => json.Object("metadata", x =>
    {
        x.WriteString("uid"u8, of.Uid);
        x.WriteString("resourceVersion"u8, of.ResourceVersion);
        x.Strings("finalizers", finalizers);
    })));
}
