using System.Text;
using System.Text.Json;

namespace Declarative.ApiServer.CustomResources;

/// <summary>
/// The JSONPath of printer columns, selectable fields and the scale subresource:
/// <c>path = ( "." name | "['" name "']" | "[" index "]" | "[*]" | "[?(@" path "==" literal ")]" )+</c>; a dot in a name is written <c>\.</c>.
/// </summary>
internal sealed class JsonPath
{
    private const int StepsMax = 64;
    private readonly List<Step> _steps = [];

    private JsonPath(string text) => Text = text;

    public string Text { get; }

    /// <summary>Only names: the path leads to at most one value.</summary>
    public bool IsSimple => _steps.TrueForAll(x => x.Kind == StepKind.Name);

    /// <summary>The names of a simple path.</summary>
    public IReadOnlyList<string> Names => [.. _steps.Select(x => x.Name)];

    /// <summary>Throws <see cref="FormatException"/> with what was expected.</summary>
    public static JsonPath Parse(string text)
    {
        var path = new JsonPath(text);
        var at = 0;
        path.Read(ref at, end: '\0');
        if (path._steps.Count == 0) throw new FormatException("expected a path such as .spec.replicas");
        return path;
    }

    public static bool TryParse(string text, out JsonPath? path, out string error)
    {
        try
        {
            (path, error) = (Parse(text), "");
            return true;
        }
        catch (FormatException e)
        {
            (path, error) = (null, e.Message);
            return false;
        }
    }

    public List<JsonElement> Find(JsonElement root)
    {
        List<JsonElement> found = [root];
        foreach (var step in _steps)
        {
            var next = new List<JsonElement>();
            foreach (var element in found) step.Follow(element, next);
            found = next;
        }
        return found;
    }

    private void Read(ref int at, char end)
    {
        while (at < Text.Length && Text[at] != end && !(end != '\0' && " =!<>".Contains(Text[at])))
        {
            if (_steps.Count == StepsMax) throw new FormatException($"more than {StepsMax} steps");
            switch (Text[at])
            {
                case '.':
                    at++;
                    if (at < Text.Length && Text[at] == '[') break;
                    _steps.Add(new(StepKind.Name, Name(ref at, end)));
                    break;
                case '[':
                    at++;
                    _steps.Add(Bracket(ref at));
                    break;
                default:
                    throw new FormatException($"expected \".\" or \"[\" at character {at + 1} of {Text}");
            }
        }
    }

    private string Name(ref int at, char end)
    {
        var name = new StringBuilder();
        for (; at < Text.Length && Text[at] is not ('.' or '[') && Text[at] != end && !(end != '\0' && " =!<>".Contains(Text[at])); at++)
        {
            if (Text[at] == '\\' && at + 1 < Text.Length) at++;
            name.Append(Text[at]);
        }
        if (name.Length == 0) throw new FormatException($"expected a name at character {at + 1} of {Text}");
        return name.ToString();
    }

    private Step Bracket(ref int at)
    {
        var close = Text.IndexOf(']', at);
        if (close < 0) throw new FormatException($"\"[\" without \"]\" in {Text}");
        var inside = Text[at..close].Trim();
        if (inside.StartsWith("?(@", StringComparison.Ordinal))
        {
            at += Text[at..].IndexOf('@', StringComparison.Ordinal) + 1;
            var condition = new JsonPath(Text);
            condition.Read(ref at, end: ')');
            while (at < Text.Length && Text[at] == ' ') at++;
            var equal = at + 2 <= Text.Length ? Text.Substring(at, 2) : "";
            if (equal is not ("==" or "!=")) throw new FormatException($"expected == or != at character {at + 1} of {Text}");
            var stop = Text.IndexOf(")]", at, StringComparison.Ordinal);
            if (stop < 0) throw new FormatException($"\"?(\" without \")]\" in {Text}");
            var literal = Text[(at + 2)..stop].Trim().Trim('"', '\'');
            at = stop + 2;
            return new(StepKind.Where, literal, Condition: condition, Equal: equal == "==");
        }
        at = close + 1;
        if (inside == "*") return new(StepKind.All, "");
        if (inside.Length > 1 && inside[0] is '\'' or '"' && inside[^1] == inside[0]) return new(StepKind.Name, inside[1..^1]);
        return int.TryParse(inside, out var index) ? new(StepKind.Index, "", index) : throw new FormatException($"expected an index, a quoted name, * or ?(...) in [{inside}]");
    }

    private enum StepKind
    {
        Name,
        Index,
        All,
        Where,
    }

    private sealed record Step(StepKind Kind, string Name, int Index = 0, JsonPath? Condition = null, bool Equal = true)
    {
        public void Follow(JsonElement element, List<JsonElement> into)
        {
            switch (Kind)
            {
                case StepKind.Name when element.ValueKind == JsonValueKind.Object && element.TryGetProperty(Name, out var member):
                    into.Add(member);
                    break;
                case StepKind.Index when element.ValueKind == JsonValueKind.Array:
                    var length = element.GetArrayLength();
                    var index = Index < 0 ? length + Index : Index;
                    if (index >= 0 && index < length) into.Add(element[index]);
                    break;
                case StepKind.All when element.ValueKind == JsonValueKind.Array:
                    into.AddRange(element.EnumerateArray());
                    break;
                case StepKind.All when element.ValueKind == JsonValueKind.Object:
                    into.AddRange(element.EnumerateObject().Select(x => x.Value));
                    break;
                case StepKind.Where when element.ValueKind == JsonValueKind.Array:
                    into.AddRange(element.EnumerateArray().Where(x => Condition!.Find(x).Any(y => y.ToString() == Name) == Equal));
                    break;
            }
        }
    }
}
