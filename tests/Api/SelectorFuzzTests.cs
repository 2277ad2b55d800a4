using Declarative.Api;
using Declarative.Api.Objects;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.Api;

/// <summary>Label and field selectors from clients: any text is read or refused with 400, and what is read means what a naive reading says.</summary>
public sealed class SelectorFuzzTests
{
    private static readonly string[] Words = ["a", "app", "in", "notin", "example.com/tier", "x_1", "7", "-3", ""];
    private static readonly string[] Blanks = ["", "", "", " ", "\t", " \r\n "];

    private static Gen<string> Blank => Gen.Elements(Blanks);

    /// <summary>Texts near to selectors: words, operators and noise in any order.</summary>
    private static Gen<string> Text =>
        from parts in Gen.Elements([.. Words, "=", "==", "!=", "!", ">", "<", "(", ")", ",", ",", " ", "\t", "\n", "\\", "\\,", "\\=", ".", "/", "metadata.name", "status.phase", "é", "\0", "\ud800", "a/b/c", new string('l', 64)]).ListOf()
        select string.Concat(parts.Take(24));

    [Fact]
    public void Any_text_is_read_or_refused_and_what_is_read_is_written_the_same()
    {
        var (labels, fields) = (0, 0);
        Fuzz.Holds(Text, text =>
        {
            try
            {
                var written = LabelSelector.Parse(text).ToString();
                labels++;
                if (written != LabelSelector.Parse(written).ToString()) return false;
            }
            catch (ApiException refused)
            {
                if (refused.Code != 400) return false;
            }
            try
            {
                var read = FieldSelector.Parse(text);
                fields++;
                return read.Requirements.SequenceEqual(FieldSelector.Parse(read.ToString()).Requirements);
            }
            catch (ApiException refused)
            {
                return refused.Code == 400;
            }
        });
        Assert.True(labels > Fuzz.Inputs / 20 && fields > Fuzz.Inputs / 20, $"{labels} label selectors and {fields} field selectors were read");
    }

    [Fact]
    public void Label_selectors_select_what_their_requirements_say()
    {
        var word = Gen.Elements("a", "app", "in", "notin", "example.com/tier");
        var value = Gen.Elements("", "x", "y_1", "7", "-3", "in").Where(x => x != "-3");
        var requirement =
            from key in word
            from op in Gen.Elements("=", "==", "!=", "in", "notin", "exists", "!", ">", "<")
            from values in value.ListOf()
            from number in Gen.Choose(0, 9)
            from blanks in Blank.ArrayOf(6)
            select Made(key, op, values.Count == 0 ? ["x"] : [.. values.Take(3)], number, blanks);
        var labels = Gen.Zip(word.ArrayOf(3), Gen.Elements("", "x", "y_1", "7", "12").ArrayOf(3)).Select(x => x.Item1.Zip(x.Item2).DistinctBy(y => y.First).ToDictionary(y => y.First, y => y.Second));
        Fuzz.Holds(Gen.Zip(requirement.ListOf(), labels), pair =>
        {
            var some = pair.Item1.Take(4).ToList();
            return LabelSelector.Parse(string.Join(',', some.Select(x => x.Text))).Matches(pair.Item2) == some.TrueForAll(x => x.Holds(pair.Item2));
        }, Fuzz.Inputs / 4);
    }

    [Fact]
    public void Field_selectors_carry_any_value()
    {
        var value = Gen.Elements('a', 'B', '9', '\\', ',', '=', '!', ' ', '"', 'é', '/').ListOf().Select(x => string.Concat(x.Take(12)));
        Fuzz.Holds(value, text => FieldSelector.Parse(FieldSelector.Of("metadata.name", text).ToString()).Requirements is [("metadata.name", var read, true)] && read == text, Fuzz.Inputs / 4);
    }

    [Theory]
    [InlineData("a in ()", "a=")]
    [InlineData("a in (x,)", "a in (x,)")]
    [InlineData("a in\t(x)", "a=x")]
    [InlineData("in in (in)", "in=in")]
    [InlineData("a=b,\nc", "a=b,c")]
    [InlineData("a>-1", null)]
    [InlineData("a>1", "a>1")]
    [InlineData("a<b", null)]
    [InlineData("a=b,", null)]
    [InlineData("a,,b", null)]
    [InlineData("!a=b", null)]
    [InlineData("a b", null)]
    public void Label_selectors_are_read_as_Kubernetes_reads_them(string text, string? canonical)
    {
        if (canonical is not null) Assert.Equal(canonical, LabelSelector.Parse(text).ToString());
        else Assert.Equal(400, Assert.Throws<ApiException>(() => LabelSelector.Parse(text)).Code);
    }

    [Theory]
    [InlineData("a=b,,c!=d", "a=b,c!=d")]
    [InlineData("a==b", "a=b")]
    [InlineData("a!b=c", "a!b=c")]
    [InlineData("a=b!c", "a=b!c")]
    [InlineData(@"a=b\,c", @"a=b\,c")]
    [InlineData("a=b=c", null)]
    [InlineData("a=b!=c", null)]
    [InlineData(@"a=\b", null)]
    [InlineData(@"a=b\", null)]
    [InlineData(" ", null)]
    [InlineData("a", null)]
    public void Field_selectors_are_read_as_Kubernetes_reads_them(string text, string? canonical)
    {
        if (canonical is not null) Assert.Equal(canonical, FieldSelector.Parse(text).ToString());
        else Assert.Equal(400, Assert.Throws<ApiException>(() => FieldSelector.Parse(text)).Code);
    }

    private static (string Text, Func<IReadOnlyDictionary<string, string>, bool> Holds) Made(string key, string op, string[] values, int number, string[] blank)
    {
        var head = blank[0] + key + blank[1];
        switch (op)
        {
            case "=" or "==": return (head + op + blank[2] + values[0] + blank[3], labels => labels.TryGetValue(key, out var found) && found == values[0]);
            case "!=": return (head + op + blank[2] + values[0] + blank[3], labels => !labels.TryGetValue(key, out var found) || found != values[0]);
            case "in": return ($"{head} in{blank[2]}({string.Join(blank[3] + "," + blank[4], values)}){blank[5]}", labels => labels.TryGetValue(key, out var found) && Array.IndexOf(values, found) >= 0);
            case "notin": return ($"{head} notin{blank[2]}({string.Join(blank[3] + "," + blank[4], values)}){blank[5]}", labels => !labels.TryGetValue(key, out var found) || Array.IndexOf(values, found) < 0);
            case "exists": return (head, labels => labels.ContainsKey(key));
            case "!": return (blank[0] + "!" + blank[1] + key + blank[2], labels => !labels.ContainsKey(key));
            case ">": return (head + op + blank[2] + number + blank[3], labels => labels.TryGetValue(key, out var found) && int.TryParse(found, out var n) && n > number);
            default: return (head + op + blank[2] + number + blank[3], labels => labels.TryGetValue(key, out var found) && int.TryParse(found, out var n) && n < number);
        }
    }
}
