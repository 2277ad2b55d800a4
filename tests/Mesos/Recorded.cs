using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Declarative.Tests.Mesos;

/// <summary>Messages and answers recorded from a real master, one JSON document per line, one of each shape.</summary>
internal static class Recorded
{
    public static IEnumerable<string> Lines(string file) => File.ReadLines(Path.Combine(Folder(), file));

    /// <summary>The paths of a message with the kind of what is there: what must be the same when the values differ.</summary>
    public static string Shape(JsonNode? node)
    {
        SortedSet<string> paths = new(StringComparer.Ordinal);
        Collect(node, "", paths);
        return string.Join('\n', paths);
    }

    private static void Collect(JsonNode? node, string path, SortedSet<string> paths)
    {
        switch (node)
        {
            case JsonObject members:
                foreach (var (name, value) in members)
                    Collect(value, $"{path}.{name}", paths);
                break;
            case JsonArray elements:
                foreach (var element in elements)
                    Collect(element, path + "[]", paths);
                break;
            default:
                paths.Add($"{path}: {(node?.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? "Bool" : node?.GetValueKind())}");
                break;
        }
    }

    private static string Folder([CallerFilePath] string here = "") => Path.Combine(Path.GetDirectoryName(here)!, "..", "Golden", "mesos");
}
