namespace Declarative.Api.Objects;

public enum SelectorOperator
{
    In,
    NotIn,
    Exists,
    DoesNotExist,

    /// <summary>Node affinity only: the value is an integer greater than the one given.</summary>
    Gt,
    Lt,
}

/// <summary>One condition over labels: all of a selector's requirements must hold.</summary>
public sealed record Requirement(string Key, SelectorOperator Operator, IReadOnlyList<string> Values)
{
    public bool Matches(IReadOnlyDictionary<string, string> labels)
    {
        var present = labels.TryGetValue(Key, out var value);
        return Operator switch
        {
            SelectorOperator.In => present && Values.Contains(value!),
            SelectorOperator.NotIn => !present || !Values.Contains(value!),
            SelectorOperator.Exists => present,
            SelectorOperator.DoesNotExist => !present,
            SelectorOperator.Gt => present && Number(value!, out var a) && Number(Values[0], out var b) && a > b,
            SelectorOperator.Lt => present && Number(value!, out var a) && Number(Values[0], out var b) && a < b,
            _ => false,
        };
    }

    internal static bool Number(string text, out long number) => long.TryParse(text, System.Globalization.NumberStyles.AllowLeadingSign, null, out number);

    public override string ToString() => Operator switch
    {
        SelectorOperator.In when Values.Count == 1 => $"{Key}={Values[0]}",
        SelectorOperator.In => $"{Key} in ({string.Join(',', Values)})",
        SelectorOperator.NotIn when Values.Count == 1 => $"{Key}!={Values[0]}",
        SelectorOperator.NotIn => $"{Key} notin ({string.Join(',', Values)})",
        SelectorOperator.Exists => Key,
        SelectorOperator.DoesNotExist => "!" + Key,
        SelectorOperator.Gt => $"{Key}>{Values[0]}",
        _ => $"{Key}<{Values[0]}",
    };
}

/// <summary>
/// A label selector in the string form of the <c>labelSelector</c> parameter
/// (Kubernetes doc "Labels and Selectors": <c>a=b,c!=d,e in (x,y),f notin (z),g,!h</c>) or of an object's matchLabels and matchExpressions.
/// </summary>
public sealed class LabelSelector
{
    private LabelSelector(IReadOnlyList<Requirement> requirements, bool nothing = false) => (Requirements, IsNothing) = (requirements, nothing);

    public static LabelSelector Everything { get; } = new([]);

    /// <summary>Matches no object: an absent selector where Kubernetes says that absent selects nothing.</summary>
    public static LabelSelector Nothing { get; } = new([], nothing: true);

    public IReadOnlyList<Requirement> Requirements { get; }
    public bool IsNothing { get; }
    public bool IsEverything => !IsNothing && Requirements.Count == 0;

    public static LabelSelector Of(IEnumerable<Requirement> requirements) => new([.. requirements]);

    public static LabelSelector Of(IReadOnlyDictionary<string, string> matchLabels) =>
        new([.. matchLabels.OrderBy(x => x.Key, StringComparer.Ordinal).Select(x => new Requirement(x.Key, SelectorOperator.In, [x.Value]))]);

    public bool Matches(IReadOnlyDictionary<string, string> labels)
    {
        if (IsNothing) return false;
        foreach (var requirement in Requirements)
        {
            if (!requirement.Matches(labels)) return false;
        }
        return true;
    }

    /// <summary>Parses the string form. Throws 400 BadRequest that shows where it went wrong.</summary>
    public static LabelSelector Parse(string text)
    {
        if (string.IsNullOrWhiteSpace(text)) return Everything;
        var parser = new Parser(text);
        var requirements = new List<Requirement>();
        do
        {
            requirements.Add(parser.Requirement());
        }
        while (parser.Take(','));
        parser.End();
        return new(requirements);
    }

    public override string ToString() => IsNothing ? "<nothing>" : string.Join(',', Requirements);

    private ref struct Parser(string text)
    {
        private readonly string _text = text;
        private int _at;

        public Requirement Requirement()
        {
            if (Take('!')) return new(Key(), SelectorOperator.DoesNotExist, []);
            var key = Key();
            if (Take('='))
            {
                Take('=');
                return new(key, SelectorOperator.In, [Value()]);
            }
            if (Take('!'))
            {
                if (!Take('=')) throw Wrong("\"=\" after \"!\"");
                return new(key, SelectorOperator.NotIn, [Value()]);
            }
            if (Take('>')) return new(key, SelectorOperator.Gt, [Number()]);
            if (Take('<')) return new(key, SelectorOperator.Lt, [Number()]);
            Blank();
            var at = _at;
            switch (Run())
            {
                case "": return new(key, SelectorOperator.Exists, []);
                case "in": return new(key, SelectorOperator.In, Values());
                case "notin": return new(key, SelectorOperator.NotIn, Values());
                default:
                    _at = at;
                    throw Wrong("an operator (=, ==, !=, in, notin, >, <), \",\" or the end");
            }
        }

        public bool Take(char c)
        {
            Blank();
            if (_at >= _text.Length || _text[_at] != c) return false;
            _at++;
            return true;
        }

        public void End()
        {
            Blank();
            if (_at < _text.Length) throw Wrong("\",\" or the end");
        }

        private string Key()
        {
            Blank();
            var key = Run();
            if (Names.QualifiedNameError(key) is { } error) throw Status.BadRequest($"unable to parse requirement in \"{_text}\": key \"{key}\": {error}");
            return key;
        }

        private string Value()
        {
            Blank();
            var value = Run();
            if (Names.LabelValueError(value) is { } error) throw Status.BadRequest($"unable to parse requirement in \"{_text}\": value \"{value}\": {error}");
            return value;
        }

        private string Number()
        {
            var value = Value();
            return Objects.Requirement.Number(value, out _) ? value : throw Status.BadRequest($"unable to parse requirement in \"{_text}\": value \"{value}\": for 'Gt', 'Lt' operators, the value must be an integer");
        }

        private List<string> Values()
        {
            if (!Take('(')) throw Wrong("\"(\"");
            var values = new List<string>();
            do
            {
                values.Add(Value());
            }
            while (Take(','));
            if (!Take(')')) throw Wrong("\",\" or \")\"");
            return values;
        }

        private string Run()
        {
            var start = _at;
            while (_at < _text.Length && !IsBlank(_text[_at]) && _text[_at] is not (',' or '=' or '!' or '(' or ')' or '<' or '>')) _at++;
            return _text[start.._at];
        }

        private void Blank()
        {
            while (_at < _text.Length && IsBlank(_text[_at])) _at++;
        }

        private static bool IsBlank(char c) => c is ' ' or '\t' or '\r' or '\n';

        private readonly ApiException Wrong(string expected) =>
            Status.BadRequest($"unable to parse requirement in \"{_text}\": at position {_at + 1} expected {expected}, found {(_at < _text.Length ? $"\"{_text[_at]}\"" : "the end")}");
    }
}
