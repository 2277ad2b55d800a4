using System.Buffers;
using System.Globalization;
using System.Text.Json;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Declarative.Api.Wire;

/// <summary>One document of a YAML stream as JSON, with the line of each of its fields.</summary>
/// <param name="Number">From 1, empty documents not counted.</param>
/// <param name="Line">Where it begins, from 1.</param>
public sealed record YamlDocument(int Number, int Line, byte[] Json, IReadOnlyDictionary<string, int> Lines)
{
    /// <summary>The line of a field (<c>spec.containers[0].name</c>), or of the nearest parent that stands in the text.</summary>
    public int LineOf(string path)
    {
        for (var at = path; at.Length > 0; at = at[..Math.Max(at.LastIndexOfAny(['.', '[']), 0)])
        {
            if (Lines.TryGetValue(at, out var line)) return line;
        }
        return Line;
    }
}

/// <summary>What is wrong with a YAML text.</summary>
public sealed class YamlFault(int document, int line, int column, string message) : Exception(message)
{
    public int Document { get; } = document;
    public int Line { get; } = line;
    public int Column { get; } = column;
}

/// <summary>
/// YAML streams to JSON, as kubectl reads manifests: plain words are what YAML 1.1 makes of them (yes and on are booleans, 0644 is octal), anchors
/// and aliases are expanded within bounds, duplicate keys refused. JSON is YAML and goes the same way.
/// </summary>
public static class Yaml
{
    /// <summary>Nodes after the expansion of aliases: the bound against billion-laughs documents.</summary>
    private const int NodesMax = 500_000;

    /// <exception cref="YamlFault">Names document, line and column.</exception>
    public static IReadOnlyList<YamlDocument> Read(string text)
    {
        var faults = new List<YamlFault>();
        var documents = Read(text, faults);
        return faults.Count == 0 ? documents : throw faults[0];
    }

    /// <summary>A document that cannot be read does not keep the others from being read: what is wrong with it is added to <paramref name="faults"/>.</summary>
    public static IReadOnlyList<YamlDocument> Read(string text, ICollection<YamlFault> faults)
    {
        var documents = new List<YamlDocument>();
        foreach (var (chunk, line) in Chunks(text))
        {
            var number = documents.Count + faults.Count + 1;
            try
            {
                ReadChunk(chunk, line, number, documents);
            }
            catch (YamlFault fault)
            {
                faults.Add(new(fault.Document, fault.Line + line, fault.Column, fault.Message));
            }
            catch (YamlException e)
            {
                faults.Add(Fault(e, chunk, number, line));
            }
            catch (Exception e) when (e is InvalidOperationException or ArgumentException or FormatException or OverflowException)
            {
                // YamlDotNet's scanner throws these on some texts, for example a flow sequence that the text ends in.
                faults.Add(new(number, line + 1, 1, "the text is no YAML"));
            }
        }
        return documents;
    }

    /// <summary>Where the parser stood: the end of what it names, which for a tab or an open quote is far from the beginning.</summary>
    private static YamlFault Fault(YamlException e, string chunk, int number, int linesBefore)
    {
        var message = Plain(e);
        // The parser names the document's beginning for a tab.
        var tab = message.Contains("tab", StringComparison.Ordinal) ? Array.FindIndex(chunk.Split('\n'), x => x.TrimStart(' ').StartsWith('\t')) : -1;
        return tab >= 0 ? new(number, tab + 1 + linesBefore, 1, message) : new(number, (int)e.End.Line + linesBefore, (int)e.End.Column, message);
    }

    private static void ReadChunk(string text, int linesBefore, int number, List<YamlDocument> documents)
    {
        var parser = new Parser(new StringReader(text));
        parser.Consume<StreamStart>();
        while (parser.Accept<DocumentStart>(out _))
        {
            var start = parser.Consume<DocumentStart>();
            var walk = new Walk(number, linesBefore);
            var root = walk.Load(parser, depth: 0);
            parser.Consume<DocumentEnd>();
            if (root is null or Leaf { IsNull: true }) continue;
            documents.Add(walk.Write(root, (root.Line > 0 ? root.Line : (int)start.Start.Line) + linesBefore));
            number++;
        }
    }

    /// <summary>
    /// The text cut at its <c>---</c> lines: at the first column they begin a document wherever they stand (YAML 1.2, section 9.1.2).
    /// Directives and comments stay with the document that follows them.
    /// </summary>
    private static IEnumerable<(string Text, int LinesBefore)> Chunks(string text)
    {
        text = text.TrimStart('\uFEFF');
        var (start, startLine, line, hasContent) = (0, 0, 0, false);
        for (var at = 0; at < text.Length; line++)
        {
            var end = text.IndexOf('\n', at) is var n and >= 0 ? n + 1 : text.Length;
            var kind = KindOf(text.AsSpan(at, end - at).TrimEnd());
            if (hasContent && kind is (Row.Marker or Row.MarkerAndContent))
            {
                yield return (text[start..at], startLine);
                (start, startLine, hasContent) = (at, line, false);
            }
            hasContent |= kind is Row.Content or Row.MarkerAndContent;
            at = end;
        }
        if (hasContent) yield return (text[start..], startLine);
    }

    private enum Row
    {
        Nothing,
        Marker,
        MarkerAndContent,
        Content,
    }

    private static Row KindOf(ReadOnlySpan<char> row) =>
        row.IsEmpty || row[0] is '#' or '%' ? Row.Nothing
        : !row.StartsWith("---") || (row.Length > 3 && row[3] is not (' ' or '\t')) ? Row.Content
        : row.Length == 3 || row[3..].TrimStart() is ['#', ..] ? Row.Marker : Row.MarkerAndContent;

    /// <summary>The one document of a text. Throws 400 BadRequest where there is none or more than one.</summary>
    public static byte[] ToJson(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            return Read(System.Text.Encoding.UTF8.GetString(utf8.Span)) is [var only] ? only.Json : throw Objects.Status.BadRequest("expected one YAML document");
        }
        catch (YamlFault e)
        {
            throw Objects.Status.BadRequest(string.Create(CultureInfo.InvariantCulture, $"the body is no YAML: line {e.Line}, column {e.Column}: {e.Message}"));
        }
    }

    private static string Plain(YamlException e) => (e.InnerException ?? e).Message is var message && message.IndexOf("): ", StringComparison.Ordinal) is var at and > 0 ? message[(at + 3)..] : message;

    private abstract record Node(int Line);

    private sealed record Leaf(int Line, string Text, bool IsPlain) : Node(Line)
    {
        public bool IsNull => IsPlain && (Text is "" or "~" or "null" or "Null" or "NULL");
    }

    private sealed record List(int Line, List<Node> Items) : Node(Line);

    private sealed record Map(int Line, List<(string Key, int Line, Node Value)> Members) : Node(Line);

    private sealed class Walk(int document, int linesBefore)
    {
        private readonly Dictionary<string, Node> _anchors = new(StringComparer.Ordinal);
        private readonly Dictionary<string, int> _lines = new(StringComparer.Ordinal);
        private int _nodes;

        public Node? Load(IParser parser, int depth)
        {
            if (depth > Limits.JsonDepthMax) throw Fault(parser.Current!.Start, $"more than {Limits.JsonDepthMax} levels deep");
            switch (parser.Current)
            {
                case Scalar scalar:
                    parser.MoveNext();
                    return Anchored(scalar.Anchor, new Leaf(At(scalar), scalar.Value, scalar is { IsPlainImplicit: true, Style: ScalarStyle.Plain }));
                case AnchorAlias alias:
                    parser.MoveNext();
                    return _anchors.GetValueOrDefault(alias.Value.Value) ?? throw Fault(alias.Start, $"alias *{alias.Value.Value} has no anchor before it");
                case SequenceStart sequence:
                    parser.MoveNext();
                    var list = new List(At(sequence), []);
                    while (!parser.TryConsume<SequenceEnd>(out _)) list.Items.Add(Load(parser, depth + 1)!);
                    return Anchored(sequence.Anchor, list);
                case MappingStart mapping:
                    parser.MoveNext();
                    return Anchored(mapping.Anchor, LoadMap(parser, mapping, depth));
                default:
                    return null;
            }
        }

        private Map LoadMap(IParser parser, MappingStart mapping, int depth)
        {
            var map = new Map(At(mapping), []);
            var keys = new HashSet<string>(StringComparer.Ordinal);
            while (!parser.TryConsume<MappingEnd>(out _))
            {
                if (parser.Current is not Scalar key) throw Fault(parser.Current!.Start, "expected a name as key");
                parser.MoveNext();
                var value = Load(parser, depth + 1)!;
                if (key is { Value: "<<", Style: ScalarStyle.Plain } && value is Map merged)
                {
                    map.Members.AddRange(merged.Members.Where(x => keys.Add(x.Key)));
                    continue;
                }
                if (!keys.Add(key.Value)) throw Fault(key.Start, $"key \"{key.Value}\" stands twice in the same map");
                map.Members.Add((key.Value, At(key), value));
            }
            return map;
        }

        public YamlDocument Write(Node root, int line)
        {
            var buffer = new ArrayBufferWriter<byte>(1024);
            using (var json = new Utf8JsonWriter(buffer, new() { MaxDepth = Limits.JsonDepthMax + 2 })) Write(json, root, "");
            return new(document, line, buffer.WrittenSpan.ToArray(), _lines);
        }

        private void Write(Utf8JsonWriter json, Node node, string path)
        {
            if (++_nodes > NodesMax) throw new YamlFault(document, node.Line, 0, $"more than {NodesMax} values after aliases are expanded");
            switch (node)
            {
                case Map map:
                    json.WriteStartObject();
                    foreach (var (key, line, value) in map.Members)
                    {
                        var at = path.Length == 0 ? key : $"{path}.{key}";
                        _lines.TryAdd(at, line + linesBefore);
                        json.WritePropertyName(key);
                        Write(json, value, at);
                    }
                    json.WriteEndObject();
                    break;
                case List list:
                    json.WriteStartArray();
                    for (var i = 0; i < list.Items.Count; i++)
                    {
                        var at = string.Create(CultureInfo.InvariantCulture, $"{path}[{i}]");
                        _lines.TryAdd(at, list.Items[i].Line + linesBefore);
                        Write(json, list.Items[i], at);
                    }
                    json.WriteEndArray();
                    break;
                case Leaf leaf:
                    WriteLeaf(json, leaf);
                    break;
                default:
                    throw new InvalidOperationException($"no such node: {node}");
            }
        }

        /// <summary>The types of YAML 1.1 (yaml.org/type: bool, int, float, null).</summary>
        private static void WriteLeaf(Utf8JsonWriter json, Leaf leaf)
        {
            var text = leaf.Text;
            if (!leaf.IsPlain) json.WriteStringValue(text);
            else if (leaf.IsNull) json.WriteNullValue();
            else if (text is "true" or "True" or "TRUE" or "yes" or "Yes" or "YES" or "on" or "On" or "ON" or "y" or "Y") json.WriteBooleanValue(true);
            else if (text is "false" or "False" or "FALSE" or "no" or "No" or "NO" or "off" or "Off" or "OFF" or "n" or "N") json.WriteBooleanValue(false);
            else if (IsNumber(text, out var raw)) json.WriteRawValue(raw);
            else json.WriteStringValue(text);
        }

        private static bool IsNumber(string text, out string json)
        {
            json = "";
            var first = text[0];
            if (!char.IsAsciiDigit(first) && first is not ('-' or '+' or '.')) return false;
            text = text.Replace("_", "", StringComparison.Ordinal);
            var sign = text.StartsWith('-') ? "-" : "";
            var digits = text.AsSpan(sign.Length > 0 || text.StartsWith('+') ? 1 : 0);
            if (digits.StartsWith("0x") && long.TryParse(digits[2..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex) && hex >= 0) json = sign + hex.ToString(CultureInfo.InvariantCulture);
            else if (digits.StartsWith("0b") && long.TryParse(digits[2..], NumberStyles.AllowBinarySpecifier, CultureInfo.InvariantCulture, out var binary) && binary >= 0) json = sign + binary.ToString(CultureInfo.InvariantCulture);
            else if (digits.StartsWith("0o") && IsOctal(digits[2..])) json = sign + Convert.ToInt64(digits[2..].ToString(), 8).ToString(CultureInfo.InvariantCulture);
            else if (digits.Length > 1 && digits[0] == '0' && IsOctal(digits[1..])) json = sign + Convert.ToInt64(digits.ToString(), 8).ToString(CultureInfo.InvariantCulture);
            else if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole)) json = whole.ToString(CultureInfo.InvariantCulture);
            else if (double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture, out var real) && double.IsFinite(real)) json = real.ToString("R", CultureInfo.InvariantCulture);
            return json.Length > 0;
        }

        private static bool IsOctal(ReadOnlySpan<char> text) => text.Length is > 0 and < 20 && text.IndexOfAnyExceptInRange('0', '7') < 0;

        private Node Anchored(AnchorName anchor, Node node)
        {
            if (!anchor.IsEmpty) _anchors[anchor.Value] = node;
            return node;
        }

        private YamlFault Fault(Mark at, string message) => new(document, (int)at.Line, (int)at.Column, message);

        private static int At(ParsingEvent e) => (int)e.Start.Line;
    }
}
