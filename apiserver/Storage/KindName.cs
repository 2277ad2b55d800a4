using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Storage;

/// <summary>A kind as journals and backups name it: <c>GROUP/VERSION/PLURAL</c>.</summary>
internal static class KindName
{
    public static string Of(Kind kind) => $"{kind.Group}/{kind.Version}/{kind.Plural}";

    /// <summary>null for a kind that this version does not know.</summary>
    public static Kind? Find(string name) => name.Split('/') is [var group, var version, var plural] ? Kind.FindStored(group, version, plural) : null;
}
