using System.Text.Json;
using Declarative.Api.Objects;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>RFC 7386: members of the patch replace members of the target, objects are joined, null removes.</summary>
internal static class MergePatch
{
    public static JsonTree Apply(JsonTree target, JsonTree patch) => patch.Kind == JsonValueKind.Object
        ? Merge(target, patch)
        : throw Status.BadRequest("a merge patch must be a JSON object");

    private static JsonTree Merge(JsonTree target, JsonTree patch)
    {
        if (patch.Members is null)
        {
            return patch;
        }

        var result = target.Members is null ? JsonTree.Object() : target;
        foreach (var (name, value) in patch.Members)
        {
            if (value.Kind == JsonValueKind.Null)
            {
                result.Members!.Remove(name);
            }
            else
            {
                result.Members![name] = Merge(result[name] ?? JsonTree.Null(), value);
            }
        }

        return result;
    }
}
