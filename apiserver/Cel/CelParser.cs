namespace Declarative.ApiServer.Cel;

/// <summary>The grammar of CEL (cel-spec, doc/langdef.md, "Syntax") by recursive descent, with macros expanded to comprehensions.</summary>
internal sealed class CelParser
{
    private static readonly string[][] Levels = [["||"], ["&&"], ["<", "<=", ">=", ">", "==", "!=", "in"], ["+", "-"], ["*", "/", "%"]];
    private static readonly HashSet<string> Macros = ["all", "exists", "exists_one", "existsOne", "map", "filter", "transformList", "transformMap", "transformMapEntry", "optMap", "optFlatMap"];

    private static readonly HashSet<string> Reserved =
    [
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ];

    private readonly List<Token> _tokens;
    private int _next;
    private int _depth;
    private int _nodes;

    private CelParser(List<Token> tokens) => _tokens = tokens;

    /// <exception cref="CelException">With the place, counted from 1.</exception>
    public static CelNode Parse(string text)
    {
        if (text.Length > CelLimits.ExpressionCharsMax) throw new CelException($"the expression has more than {CelLimits.ExpressionCharsMax} characters");
        var parser = new CelParser(CelLexer.Read(text));
        var node = parser.Expression();
        return parser.Peek.Kind == TokenKind.End ? node : throw parser.Unexpected("an operator or the end");
    }

    private Token Peek => _tokens[_next];

    private CelNode Expression()
    {
        if (++_depth > CelLimits.DepthMax) throw new CelException($"the expression is nested more than {CelLimits.DepthMax} levels deep");
        var condition = Binary(0);
        if (Take("?"))
        {
            var yes = Binary(0);
            Expect(":");
            condition = Made(new Call(condition.At, "_?_:_", null, [condition, yes, Expression()]));
        }
        _depth--;
        return condition;
    }

    private CelNode Binary(int level)
    {
        if (level == Levels.Length) return Unary();
        var left = Binary(level + 1);
        while (Peek.Kind == TokenKind.Symbol && Levels[level].Contains(Peek.Text))
        {
            var symbol = _tokens[_next++];
            left = Made(new Call(symbol.At, symbol.Text == "in" ? "@in" : $"_{symbol.Text}_", null, [left, Binary(level + 1)]));
        }
        return left;
    }

    private CelNode Unary()
    {
        var start = Peek;
        if (!start.Is("!") && !start.Is("-")) return Member();
        var count = 0;
        while (Take(start.Text)) count++;
        if (start.Is("-") && Peek.Kind == TokenKind.Value && count % 2 == 1)
        {
            // A sign before a number is part of it: -9223372036854775808 is an int.
            var value = Peek.Value switch { long whole => -whole, double real => -real, MinimumMagnitude => long.MinValue, _ => (object?)null };
            if (value is not null)
            {
                _next++;
                return Suffixes(Made(new Literal(start.At, value)));
            }
        }
        var operand = Member();
        if (count % 2 == 0 && start.Is("!")) return Made(new Call(start.At, "!_", null, [Made(new Call(start.At, "!_", null, [operand]))]));
        return count % 2 == 0 ? Made(new Call(start.At, "-_", null, [Made(new Call(start.At, "-_", null, [operand]))])) : Made(new Call(start.At, start.Is("!") ? "!_" : "-_", null, [operand]));
    }

    private CelNode Member() => Suffixes(Primary());

    private CelNode Suffixes(CelNode node)
    {
        // A chain makes the tree as deep as it is long.
        for (var length = 0; ; length++)
        {
            if (length > CelLimits.DepthMax) throw new CelException($"more than {CelLimits.DepthMax} selections in a row");
            var at = Peek.At;
            if (Take("["))
            {
                node = Made(new Call(at, Take("?") ? "_[?_]" : "_[_]", null, [node, Expression()]));
                Expect("]");
            }
            else if (Take("."))
            {
                if (Take("?"))
                {
                    node = Made(new Select(at, node, Name(), IsOptional: true));
                    continue;
                }
                var name = Name();
                node = Take("(") ? Method(at, node, name) : Made(new Select(at, node, name));
            }
            else
            {
                return node;
            }
        }
    }

    private CelNode Method(int at, CelNode target, string name)
    {
        var arguments = Arguments(")");
        if (!Macros.Contains(name) || arguments.Count < 2) return Made(new Call(at, name, target, arguments));
        if (arguments[0] is not Identifier variable) throw new CelException($"{name}() at {at + 1}: the first argument must be the name of a variable");
        var second = arguments.Count > 2 && name is not ("map" or "optMap" or "optFlatMap") ? (arguments[1] as Identifier)?.Name ?? throw new CelException($"{name}() at {at + 1}: the second argument must be the name of a variable") : null;
        if (second == variable.Name) throw new CelException($"{name}() at {at + 1}: its two variables must have different names");
        return (name, arguments.Count) switch
        {
            ("map" or "optMap" or "optFlatMap", 2) => Made(new Comprehension(at, name, target, variable.Name, null, arguments[1])),
            ("map", 3) => Made(new Comprehension(at, name, target, variable.Name, arguments[1], arguments[2])),
            ("all" or "exists" or "exists_one" or "filter", 2) => Made(new Comprehension(at, name, target, variable.Name, arguments[1], null)),
            ("all" or "exists" or "existsOne", 3) => Made(new Comprehension(at, name == "existsOne" ? "exists_one" : name, target, variable.Name, arguments[2], null, second)),
            ("transformList" or "transformMap" or "transformMapEntry", 3) => Made(new Comprehension(at, name, target, variable.Name, null, arguments[2], second)),
            ("transformList" or "transformMap" or "transformMapEntry", 4) => Made(new Comprehension(at, name, target, variable.Name, arguments[2], arguments[3], second)),
            _ => throw new CelException($"{name}() at {at + 1} with {arguments.Count} arguments is not supported here"),
        };
    }

    private CelNode Primary()
    {
        var token = Peek;
        if (token.Kind == TokenKind.Value)
        {
            _next++;
            return Made(new Literal(token.At, token.Value is MinimumMagnitude ? throw new CelException($"the integer at {token.At + 1} does not fit in 64 bits") : token.Value));
        }
        if (Take("("))
        {
            var inner = Expression();
            Expect(")");
            return inner;
        }
        if (Take("["))
        {
            var optional = new HashSet<int>();
            return Made(new ListLiteral(token.At, Arguments("]", optional), optional));
        }
        if (Take("{")) return Map(token.At);
        Take(".");
        if (Peek.Kind != TokenKind.Identifier) throw Unexpected("a value");
        var name = Name();
        if (Reserved.Contains(name)) throw new CelException($"\"{name}\" at {token.At + 1} is a reserved word");
        if (!Take("(")) return Made(new Identifier(token.At, name));
        var arguments = Arguments(")");
        if (name != "has") return Made(new Call(token.At, name, null, arguments));
        return arguments is [Select select] ? Made(select with { Test = true }) : throw new CelException($"has() at {token.At + 1} wants one field selection, such as has(self.spec)");
    }

    private MapLiteral Map(int at)
    {
        var entries = new List<(CelNode, CelNode)>();
        var optional = new HashSet<int>();
        while (!Take("}"))
        {
            if (entries.Count > 0)
            {
                Expect(",");
                if (Take("}")) break;
            }
            if (Take("?")) optional.Add(entries.Count);
            var key = Expression();
            Expect(":");
            entries.Add((key, Expression()));
        }
        return Made(new MapLiteral(at, entries, optional));
    }

    /// <param name="optional">Receives which of them are written with a question mark; null where none may be.</param>
    private List<CelNode> Arguments(string close, HashSet<int>? optional = null)
    {
        var arguments = new List<CelNode>();
        while (!Take(close))
        {
            if (arguments.Count > 0)
            {
                Expect(",");
                if (close == "]" && Take(close)) break;
            }
            if (optional is not null && Take("?")) optional.Add(arguments.Count);
            arguments.Add(Expression());
        }
        return arguments;
    }

    private string Name()
    {
        if (Peek.Kind != TokenKind.Identifier) throw Unexpected("a name");
        return _tokens[_next++].Text;
    }

    private bool Take(string symbol)
    {
        if (!Peek.Is(symbol)) return false;
        _next++;
        return true;
    }

    private void Expect(string symbol)
    {
        if (!Take(symbol)) throw Unexpected($"\"{symbol}\"");
    }

    private T Made<T>(T node)
        where T : CelNode
    {
        if (++_nodes > CelLimits.NodesMax) throw new CelException($"the expression has more than {CelLimits.NodesMax} parts");
        return node;
    }

    private CelException Unexpected(string expected) =>
        new($"expected {expected} at {Peek.At + 1}, found {Peek.Kind switch { TokenKind.End => "the end", TokenKind.Value => "a value", _ => $"\"{Peek.Text}\"" }}");
}
