using System.Text;
using System.Text.Json;
using Declarative.Api.Wire;
using Xunit;

namespace Declarative.Tests.Api;

public sealed class YamlTests
{
    [Theory]
    [InlineData("a: 1", """{"a":1}""")]
    [InlineData("a: 0644", """{"a":420}""")]
    [InlineData("a: 0x10", """{"a":16}""")]
    [InlineData("a: yes", """{"a":true}""")]
    [InlineData("a: 'true'", """{"a":"true"}""")]
    [InlineData("a: 1.5", """{"a":1.5}""")]
    [InlineData("a: ~", """{"a":null}""")]
    [InlineData("a: &x {b: c}\nd: *x", """{"a":{"b":"c"},"d":{"b":"c"}}""")]
    [InlineData("base: &x {b: c}\nd:\n  <<: *x\n  e: f", """{"base":{"b":"c"},"d":{"b":"c","e":"f"}}""")]
    [InlineData("{\"a\": [1, true, null, \"x\"]}", """{"a":[1,true,null,"x"]}""")]
    [InlineData("a: |\n  x\n  ---\n  y\n", """{"a":"x\n---\ny\n"}""")]
    public void Becomes_the_JSON_that_kubectl_sends(string yaml, string json) => Assert.Equal(json, Encoding.UTF8.GetString(Yaml.Read(yaml)[0].Json));

    [Theory]
    [InlineData("a: 1\n---\nb: 2\n", new[] { 1, 3 })]
    [InlineData("---\na: 1\n---\n---\nb: 2\n", new[] { 2, 5 })]
    [InlineData("# only a comment\n---\n# another\na: 1\n...\n---\nb: 2\n", new[] { 4, 7 })]
    [InlineData("%YAML 1.2\n---\na: 1\n", new[] { 3 })]
    [InlineData("--- {a: 1}\n--- # comment\nb: 1\n", new[] { 1, 3 })]
    [InlineData("a: 1\r\n---\r\nb: 2\r\n", new[] { 1, 3 })]
    [InlineData("\ufeffa: 1\n", new[] { 1 })]
    [InlineData("", new int[0])]
    [InlineData("# nothing\n---\n---\n", new int[0])]
    public void Documents_know_their_first_line(string yaml, int[] lines) => Assert.Equal(lines, Yaml.Read(yaml).Select(x => x.Line));

    [Fact]
    public void Fields_know_their_line_in_every_document()
    {
        var second = Yaml.Read("a: 1\n---\nspec:\n  list:\n  - name: x\n  - name: y\n    deep: {er: 1}\n")[1];
        Assert.Equal(3, second.LineOf("spec"));
        Assert.Equal(6, second.LineOf("spec.list[1].name"));
        Assert.Equal(7, second.LineOf("spec.list[1].deep.er"));
        Assert.Equal(7, second.LineOf("spec.list[1].deep.absent"));
        Assert.Equal(4, second.LineOf("spec.list[9].name"));
        Assert.Equal(3, second.LineOf("absent"));
    }

    [Fact]
    public void A_broken_document_does_not_hide_the_others()
    {
        var faults = new List<YamlFault>();
        var documents = Yaml.Read("a: 1\n---\nb: [\n---\nc: 3\n---\nd: 1\nd: 2\n", faults);
        Assert.Equal([1, 3], documents.Select(x => x.Number));
        Assert.Equal([1, 5], documents.Select(x => x.Line));
        Assert.Equal([2, 4], faults.Select(x => x.Document));
        Assert.Equal(8, faults[1].Line);
        Assert.Throws<YamlFault>(() => Yaml.Read("b: ["));
    }

    [Fact]
    public void A_billion_laughs_are_refused()
    {
        var text = new StringBuilder("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for (var i = 1; i < 10; i++) text.Append(System.Globalization.CultureInfo.InvariantCulture, $"a{i}: &a{i} [{string.Join(", ", Enumerable.Repeat($"*a{i - 1}", 10))}]\n");
        Assert.Contains("aliases", Assert.Throws<YamlFault>(() => Yaml.Read(text.ToString())).Message, StringComparison.Ordinal);
    }

    /// <summary>Any text is either read or refused as a fault with a place in it; nothing else is thrown.</summary>
    [Fact]
    public void Mutated_texts_are_read_or_refused()
    {
        const string Text = "apiVersion: v1\nkind: List\nitems:\n- &x {a: [1, 2], b: 'c'}\n- *x\n- |\n  text\n- \"quo\\ted\"\n---\n# c\nb: >-\n  folded\n  lines\n? k\n: v\n";
        List<byte[]> pieces = [.. "\n \t:-#'\"{}[],&*!|>%@?~ax0\\".Select(x => new[] { (byte)x })];
        foreach (var more in (string[])["---\n", "<<: *x\n", "&x ", "*x", "!!binary ", "0x7fffffffffffffffff", "0777777777777777777777", "1e999", ".inf", "\\x", "\u2028", "\ufeff", new string('[', 1_000), new string(' ', 300) + "- "]) pieces.Add(Encoding.UTF8.GetBytes(more));
        var (read, refused) = (0, 0);
        Fuzz.Holds(Fuzz.Mutated([Encoding.UTF8.GetBytes(Text)], pieces), bytes =>
        {
            var text = Encoding.UTF8.GetString(bytes);
            var faults = new List<YamlFault>();
            foreach (var document in Yaml.Read(text, faults)) JsonDocument.Parse(document.Json, new() { MaxDepth = Declarative.Api.Limits.JsonDepthMax + 2 }).Dispose();
            if (faults.Count == 0) read++;
            else refused++;
            return faults.TrueForAll(x => x.Line >= 0 && x.Line <= text.Count(c => c is '\n' or '\r' or '\u0085' or '\u2028' or '\u2029') + 2);
        });
        Assert.True(read > 1000 && refused > 1000, $"{read} read, {refused} refused");
    }
}
