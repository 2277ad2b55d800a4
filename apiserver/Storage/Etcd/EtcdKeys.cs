using System.Text;
using Declarative.Api;
using Google.Protobuf;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>The keys of one journal: <c>PREFIX/commit</c> and <c>PREFIX/objects/GROUP/VERSION/PLURAL/NAMESPACE/NAME</c>, empty parts included.</summary>
internal sealed class EtcdKeys
{
    private readonly string _objects;

    public EtcdKeys(string prefix)
    {
        var trimmed = prefix.TrimEnd('/');
        _objects = trimmed + "/objects/";
        Commit = ByteString.CopyFromUtf8(trimmed + "/commit");
        Objects = ByteString.CopyFromUtf8(_objects);
        ObjectsEnd = End(_objects);
        All = ByteString.CopyFromUtf8(trimmed + "/");
        AllEnd = End(trimmed + "/");
    }

    public ByteString Commit { get; }

    public ByteString Objects { get; }

    public ByteString ObjectsEnd { get; }

    public ByteString All { get; }

    public ByteString AllEnd { get; }

    public ByteString Of(ResourceKey key) => ByteString.CopyFromUtf8($"{_objects}{KindName.Of(key.Kind)}/{key.Namespace}/{key.Name}");

    /// <summary>null for a kind that this version does not know.</summary>
    public ResourceKey? Read(ByteString key) =>
        key.ToStringUtf8()[_objects.Length..].Split('/') is [var group, var version, var plural, var ns, var name] && KindName.Find($"{group}/{version}/{plural}") is { } kind ? new(kind, ns, name) : null;

    /// <summary>The first key after this one.</summary>
    public static ByteString After(ByteString key) => ByteString.CopyFrom([.. key.Span, 0]);

    // The first key that does not begin with the prefix: its last byte, '/', plus one.
    private static ByteString End(string prefix)
    {
        var bytes = Encoding.UTF8.GetBytes(prefix);
        bytes[^1]++;
        return ByteString.CopyFrom(bytes);
    }
}
