using System.Text;
using Declarative.Api;

namespace Declarative.Client.Reconcile;

/// <summary>One write that a plan asks for. <see cref="ToString"/> is the line that golden files and logs show.</summary>
public abstract record Change(ResourceKey Key)
{
    /// <summary>A new object. The key's name may be "" where the object has generateName.</summary>
    public static Create Create(ResourceKey key, byte[] json) => new(key, json);

    public static Patch Merge(ResourceKey key, byte[] json, string subresource = "") => new(key, PatchKind.Merge, json, subresource);

    public static Delete Delete(ResourceKey key, string uid) => new(key, new DeleteOptions { Uid = uid });
}

public sealed record Create(ResourceKey Key, ReadOnlyMemory<byte> Json) : Change(Key)
{
    public override string ToString() => $"create {Key} {Encoding.UTF8.GetString(Json.Span)}";
}

/// <summary>A patch; with metadata.resourceVersion in it, only of that revision.</summary>
public sealed record Patch(ResourceKey Key, PatchKind Kind, ReadOnlyMemory<byte> Json, string Subresource = "") : Change(Key)
{
    public override string ToString() => $"patch {Key}{(Subresource.Length == 0 ? "" : "/" + Subresource)} {Encoding.UTF8.GetString(Json.Span)}";
}

/// <summary>A replacement of the object or of a subresource, for the few places where a patch cannot say it (namespaces/finalize).</summary>
public sealed record Update(ResourceKey Key, ReadOnlyMemory<byte> Json, string Subresource = "") : Change(Key)
{
    public override string ToString() => $"update {Key}{(Subresource.Length == 0 ? "" : "/" + Subresource)} {Encoding.UTF8.GetString(Json.Span)}";
}

/// <summary>A deletion; its options carry the uid, so that a new object of the same name is not hit.</summary>
public sealed record Delete(ResourceKey Key, DeleteOptions Options) : Change(Key)
{
    public override string ToString() => $"delete {Key} uid={Options.Uid}{(Options.Propagation == Propagation.Default ? "" : " " + Options.Propagation)}";
}
