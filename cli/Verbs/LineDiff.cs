using System.Globalization;
using System.Text;

namespace Declarative.Cli.Verbs;

/// <summary>A unified diff of two texts by lines (the form of POSIX <c>diff -u</c>), by Myers' greedy algorithm ("An O(ND) Difference Algorithm", 1986).</summary>
internal static class LineDiff
{
    private const int Context = 3;

    /// <summary>Of the search: with more differences than these everything between the common ends is shown as changed.</summary>
    private const int DifferencesMax = 2_000;

    /// <summary>"" where the texts are equal.</summary>
    public static string Unified(string nameA, string a, string nameB, string b)
    {
        if (a == b) return "";
        var (x, y) = (Lines(a), Lines(b));
        var edits = Edits(x, y);
        var text = new StringBuilder().Append("--- ").Append(nameA).Append("\n+++ ").Append(nameB).Append('\n');
        for (var at = 0; at < edits.Count;)
        {
            var first = edits.FindIndex(at, e => e.Sign != ' ');
            if (first < 0) break;
            var (start, end, same) = (Math.Max(first - Context, at), first, 0);
            for (var i = first; i < edits.Count && same <= 2 * Context; i++)
            {
                same = edits[i].Sign == ' ' ? same + 1 : 0;
                if (same == 0) end = i;
            }
            end = Math.Min(end + Context + 1, edits.Count);
            Hunk(text, edits, start, end);
            at = end;
        }
        return text.ToString();
    }

    private static void Hunk(StringBuilder text, List<Edit> edits, int start, int end)
    {
        var (lineA, lineB) = (edits.Take(start).Count(e => e.Sign != '+'), edits.Take(start).Count(e => e.Sign != '-'));
        var part = edits[start..end];
        var (countA, countB) = (part.Count(e => e.Sign != '+'), part.Count(e => e.Sign != '-'));
        text.Append(CultureInfo.InvariantCulture, $"@@ -{Range(lineA, countA)} +{Range(lineB, countB)} @@\n");
        foreach (var edit in part) text.Append(edit.Sign).Append(edit.Line).Append('\n');
    }

    private static string Range(int before, int count) =>
        count == 1 ? (before + 1).ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{(count == 0 ? before : before + 1)},{count}");

    private readonly record struct Edit(char Sign, string Line);

    private static string[] Lines(string text) => text.Length == 0 ? [] : (text.EndsWith('\n') ? text[..^1] : text).Split('\n');

    private static List<Edit> Edits(string[] a, string[] b)
    {
        var head = 0;
        while (head < a.Length && head < b.Length && a[head] == b[head]) head++;
        var tail = 0;
        while (tail < a.Length - head && tail < b.Length - head && a[^(tail + 1)] == b[^(tail + 1)]) tail++;
        var middle = Middle(a[head..^tail], b[head..^tail]);
        return [.. a[..head].Select(x => new Edit(' ', x)), .. middle, .. a[^tail..].Select(x => new Edit(' ', x))];
    }

    private static List<Edit> Middle(string[] a, string[] b)
    {
        var max = Math.Min(a.Length + b.Length, DifferencesMax);
        var furthest = new int[(2 * max) + 3];
        var history = new List<int[]>();
        for (var d = 0; d <= max; d++)
        {
            history.Add((int[])furthest.Clone());
            for (var k = -d; k <= d; k += 2)
            {
                var x = k == -d || (k != d && furthest[max + k] < furthest[max + k + 2]) ? furthest[max + k + 2] : furthest[max + k] + 1;
                var y = x - k;
                while (x < a.Length && y < b.Length && x >= 0 && y >= 0 && a[x] == b[y])
                {
                    x++;
                    y++;
                }
                furthest[max + k + 1] = x;
                if (x >= a.Length && y >= b.Length) return Back(a, b, history, max);
            }
        }
        return [.. a.Select(x => new Edit('-', x)), .. b.Select(x => new Edit('+', x))];
    }

    private static List<Edit> Back(string[] a, string[] b, List<int[]> history, int max)
    {
        var edits = new List<Edit>();
        var (x, y) = (a.Length, b.Length);
        for (var d = history.Count - 1; d >= 0; d--)
        {
            var furthest = history[d];
            var k = x - y;
            var isDown = k == -d || (k != d && furthest[max + k] < furthest[max + k + 2]);
            var previousX = d == 0 ? 0 : isDown ? furthest[max + k + 2] : furthest[max + k];
            var previousY = d == 0 ? 0 : previousX - (isDown ? k + 1 : k - 1);
            while (x > previousX && y > previousY && (d == 0 || x > previousX + (isDown ? 0 : 1) || y > previousY + (isDown ? 1 : 0)))
            {
                edits.Add(new(' ', a[--x]));
                y--;
            }
            if (d == 0) break;
            if (isDown) edits.Add(new('+', b[--y]));
            else edits.Add(new('-', a[--x]));
        }
        edits.Reverse();
        return edits;
    }
}
