using System.Text;

namespace Declarative.Controllers.Placement.Tasks;

/// <summary>
/// <c>$(NAME)</c> in commands, arguments and environment values (Kubernetes doc "Define Dependent Environment Variables"): replaced where
/// the variable is known, left as it stands where not; <c>$$</c> is one <c>$</c> that begins no reference.
/// </summary>
internal static class Expansion
{
    public static string Expand(string text, IReadOnlyDictionary<string, string> variables)
    {
        if (!text.Contains('$', StringComparison.Ordinal)) return text;
        var result = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '$' || i + 1 == text.Length)
            {
                result.Append(text[i]);
                continue;
            }
            if (text[i + 1] == '$')
            {
                result.Append('$');
                i++;
                continue;
            }
            var end = text[i + 1] == '(' ? text.IndexOf(')', i + 2) : -1;
            if (end < 0)
            {
                result.Append('$');
                continue;
            }
            var name = text[(i + 2)..end];
            result.Append(variables.TryGetValue(name, out var value) ? value : text[i..(end + 1)]);
            i = end;
        }
        return result.ToString();
    }
}
