using System.Text.Json.Nodes;
using Declarative.Api.Wire;
using Declarative.Cli.Verbs;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>The pure writers: numbers, YAML and diffs.</summary>
public sealed class TextTests
{
    [Theory]
    [InlineData("1", "1")]
    [InlineData("-7", "-7")]
    [InlineData("1.0", "1")]
    [InlineData("0.5", "0.5")]
    [InlineData("-0.25", "-0.25")]
    [InlineData("1e3", "1000")]
    [InlineData("123456.789", "123456.789")]
    [InlineData("1e20", "100000000000000000000")]
    [InlineData("1e21", "1e+21")]
    [InlineData("1.5e300", "1.5e+300")]
    [InlineData("0.000001", "0.000001")]
    [InlineData("0.00000012", "1.2e-07")]
    [InlineData("9223372036854775807", "9223372036854775807")]
    [InlineData("0.0", "0")]
    public void Numbers_are_written_as_Go_writes_them(string json, string expected) => Assert.Equal(expected, GoJson.Number(json));

    [Fact]
    public void What_is_written_as_YAML_is_read_as_the_same()
    {
        var random = new Random(7);
        const string alphabet = "ab01 \n\t:-#'\"{}[],&*!|>%@`\\~=<.?/äé€\u00a0";
        for (var i = 0; i < 3_000; i++)
        {
            var json = new JsonObject { ["v"] = Value(3) };
            var text = YamlText.Write(json);
            var faults = new List<YamlFault>();
            var documents = Yaml.Read(text, faults);
            Assert.True(faults.Count == 0, $"{faults.FirstOrDefault()?.Message}: {json.ToJsonString()}\n{text}");
            var read = JsonNode.Parse(documents[0].Json);
            Assert.True(JsonNode.DeepEquals(json, read), $"{json.ToJsonString()}\n{text}\n{read}");
        }

        JsonNode? Value(int depth) => random.Next(depth > 0 ? 8 : 5) switch
        {
            0 => random.Next(1000) - 500,
            1 => random.Next(2) == 0,
            2 => null,
            3 or 4 => Word(),
            5 or 6 => new JsonObject(Enumerable.Range(0, random.Next(4)).Select(x => KeyValuePair.Create($"{Word()}{x}", Value(depth - 1)))),
            _ => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Value(depth - 1))]),
        };

        string Word() => string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => alphabet[random.Next(alphabet.Length)]));
    }

    [Fact]
    public void A_diff_applied_to_the_first_text_gives_the_second()
    {
        var random = new Random(11);
        for (var i = 0; i < 2_000; i++)
        {
            var a = Enumerable.Range(0, random.Next(30)).Select(_ => $"{random.Next(5)}").ToList();
            var b = a.Where(_ => random.Next(5) > 0).SelectMany(x => random.Next(6) == 0 ? [x, $"{random.Next(9)}"] : (string[])[x]).ToList();
            var diff = LineDiff.Unified("a", Text(a), "b", Text(b));
            Assert.Equal(b, Applied(a, diff));
            Assert.Equal(a.SequenceEqual(b), diff.Length == 0);
        }

        static string Text(List<string> lines) => string.Concat(lines.Select(x => x + "\n"));
    }

    /// <summary>What <c>patch</c> does with a unified diff.</summary>
    private static List<string> Applied(List<string> lines, string diff)
    {
        var result = new List<string>();
        var at = 0;
        foreach (var line in diff.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(2))
        {
            if (line.StartsWith("@@ -", StringComparison.Ordinal))
            {
                var range = line[4..line.IndexOf(' ', 4)].Split(',');
                var start = int.Parse(range[0], System.Globalization.CultureInfo.InvariantCulture) - (range is [_, "0"] ? 0 : 1);
                while (at < start) result.Add(lines[at++]);
                continue;
            }
            if (line[0] != '+') Assert.Equal(line[1..], lines[at++]);
            if (line[0] != '-') result.Add(line[1..]);
        }
        result.AddRange(lines.Skip(at));
        return result;
    }
}
