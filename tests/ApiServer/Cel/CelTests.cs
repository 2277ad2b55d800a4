using Declarative.ApiServer.Cel;
using Xunit;

namespace Declarative.Tests.ApiServer.Cel;

/// <summary>Expressions and their values, by the language definition and Kubernetes' libraries.</summary>
public sealed class CelTests
{
    /// <summary>Stands for a refusal or an error.</summary>
    private const string Fails = "!";

    public static TheoryData<string, string> Values => new()
    {
        { "1 + 2 * 3", "7" },
        { "-9223372036854775808", "-9223372036854775808" },
        { "9223372036854775807 + 1", "!" },
        { "7 / 2", "3" },
        { "-7 % 2", "-1" },
        { "1/0", "!" },
        { "2u + 3u", "5" },
        { "0x10", "16" },
        { "1.5 + 2.5", "4" },
        { "'a' + \"b\"", "ab" },
        { "r'\\n'.size()", "2" },
        { "'\\u00e9'.size()", "1" },
        { "b'\\xff'.size()", "1" },
        { "'''a\nb'''.size()", "3" },
        { "true || 1/0 == 1", "true" },
        { "1/0 == 1 || true", "true" },
        { "false && 1/0==1", "false" },
        { "[1,2,3].all(x, x > 0)", "true" },
        { "[1,2,3].exists(x, x == 2)", "true" },
        { "[1,2,2].exists_one(x, x == 2)", "false" },
        { "[1,2,3].map(x, x * 2) == [2,4,6]", "true" },
        { "[1,2,3].map(x, x > 1, x * 2) == [4,6]", "true" },
        { "[1,2,3].filter(x, x % 2 == 1) == [1,3]", "true" },
        { "{'a': 1}['a']", "1" },
        { "'a' in {'a': 1}", "true" },
        { "2 in [1,2]", "true" },
        { "has({'a':1}.a)", "true" },
        { "has({'a':1}.b)", "false" },
        { "{'a':1}.b", "!" },
        { "1 == 1.0 ? 'y' : 'n'", "!" },
        { "dyn(1) == 1.0", "true" },
        { "1 < 2u", "true" },
        { "type(1) == int", "true" },
        { "'hello'.matches('^h.*o$')", "true" },
        { "'hello'.contains('ell')", "true" },
        { "'tacocat'.indexOf('a', 2)", "5" },
        { "'tacocat'.substring(4)", "cat" },
        { "'a,b,c'.split(',') == ['a','b','c']", "true" },
        { "['a','b'].join('-')", "a-b" },
        { "'abc'.charAt(1)", "b" },
        { "'hello'.replace('l','L',1)", "heLlo" },
        { "'%s is %d, %.2f'.format(['x', 3, 1.5])", "x is 3, 1.50" },
        { "[1,3,2].isSorted()", "false" },
        { "[1,3,2].max()", "3" },
        { "[1,3,2].sum()", "6" },
        { "[1,2,1].lastIndexOf(1)", "2" },
        { "duration('1h30m').getMinutes()", "90" },
        { "string(duration('1h30m'))", "5400s" },
        { "timestamp('2023-12-25T12:00:00Z').getDayOfWeek()", "1" },
        { "timestamp('2023-12-25T12:00:00Z').getHours('-08:00')", "4" },
        { "timestamp('2023-01-02T00:00:00Z') - timestamp('2023-01-01T00:00:00Z') == duration('24h')", "true" },
        { "quantity('1.5Gi').isGreaterThan(quantity('1500M'))", "true" },
        { "quantity('500m').add(quantity('500m')).asInteger()", "1" },
        { "isQuantity('1x')", "false" },
        { "ip('127.0.0.1').isLoopback()", "true" },
        { "ip.isCanonical('::0001')", "false" },
        { "cidr('10.0.0.0/8').containsIP('10.1.2.3')", "true" },
        { "url('https://example.com:80/a?b=1').getHost()", "example.com:80" },
        { "isURL('nope')", "false" },
        { "'abc'.find('b.')", "bc" },
        { "'a1b2'.findAll('[0-9]') == ['1','2']", "true" },
        { "foo", "!" },
        { "'a'.foo()", "!" },
        { "1 + 'a'", "!" },
        { "[1,2,3][5]", "!" },
        { "!true", "false" },
        { "!!true", "true" },
        { "--1", "1" },
        { "int('42')", "42" },
        { "int('x')", "!" },
        { "string(1.5)", "1.5" },
        { "double('1e3')", "1000" },
        { "'\\x41'", "A" },
        { "[[1],[2]].exists(x, x.exists(y, y == 2))", "true" },
        { "has(1)", "!" },
        { "sets.contains([1, 2, 2], [2, 1])", "true" },
        { "sets.contains([1], [1, 2])", "false" },
        { "sets.contains([], [])", "true" },
        { "sets.equivalent([1, 2], [2, 1, 1])", "true" },
        { "sets.equivalent(['a'], ['a', 'b'])", "false" },
        { "sets.intersects([1, 2], [2, 3])", "true" },
        { "sets.intersects([], [1])", "false" },
        { "'a' < 'b'", "true" },
        { "null == null", "true" },
        { "// c\n1", "1" },
        { "optional.of(1).hasValue()", "true" },
        { "optional.none().hasValue()", "false" },
        { "optional.none().value()", "!" },
        { "optional.ofNonZeroValue('').hasValue()", "false" },
        { "optional.ofNonZeroValue([0]).hasValue()", "true" },
        { "{'a':1}.?a.orValue(2)", "1" },
        { "{'a':1}.?b.orValue(2)", "2" },
        { "{'a':{'b':3}}.?a.b.orValue(0)", "3" },
        { "{'a':{'b':3}}.?a.c.orValue(0)", "0" },
        { "{'a':{'b':3}}.?x.b.hasValue()", "false" },
        { "{'a':[7]}.?a[?0].value()", "7" },
        { "{'a':[7]}.?a[1].hasValue()", "false" },
        { "[1,2][?5].hasValue()", "false" },
        { "[1,2][?1].value()", "2" },
        { "{'a':1}[?'a'].value()", "1" },
        { "has({'a':{'b':1}}.?a.b)", "true" },
        { "optional.of(2).optMap(x, x * 3).value()", "6" },
        { "optional.none().optMap(x, x).hasValue()", "false" },
        { "optional.of(2).optFlatMap(x, x > 1 ? optional.of('y') : optional.none()).value()", "y" },
        { "[1, ?optional.none(), ?optional.of(3)] == [1, 3]", "true" },
        { "{?'a': optional.none(), 'b': 1} == {'b': 1}", "true" },
        { "optional.none().or(optional.of(4)).value()", "4" },
        { "optional.of(1).orValue(1/0)", "1" },
        { "optional.of(1) == optional.of(1)", "true" },
        { "optional.of(1) == optional.none()", "false" },
        { "[1,2,3].all(i, v, v == i + 1)", "true" },
        { "{'a':1}.exists(k, v, k == 'a' && v == 1)", "true" },
        { "[5,5].existsOne(i, v, i == 0 && v == 5)", "true" },
        { "[5,6].transformList(i, v, i + v) == [5, 7]", "true" },
        { "{'a':1,'b':2}.transformMap(k, v, v > 1, v * 10) == {'b': 20}", "true" },
        { "[1].transformMapEntry(i, v, {'k': v}) == {'k': 1}", "true" },
        { "[1].all(i, i, true)", "!" },
        { "format.dns1123Label().validate('a-b').hasValue()", "false" },
        { "format.dns1123Label().validate('A').hasValue()", "true" },
        { "format.dns1123LabelPrefix().validate('web-').hasValue()", "false" },
        { "format.named('uuid').hasValue()", "true" },
        { "format.named('nope').hasValue()", "false" },
    };

    [Theory]
    [MemberData(nameof(Values))]
    public void An_expression_has_its_value(string expression, string value) => Assert.Equal(value, Evaluate(expression));

    [Theory]
    [InlineData("sets.contains([1], 1)", "no matching overload for 'sets.contains'")]
    [InlineData("math.greatest(1, 2)", "'math' at 1")]
    [InlineData("[1].flatten()", "'flatten'")]
    [InlineData("1 + ", "found the end")]
    [InlineData("optional.of(1).orValue('a')", "no matching overload for 'orValue'")]
    [InlineData("[?1]", "must be an optional value, not a int")]
    [InlineData("1.optMap(x, x)", "wants an optional value, not a int")]
    [InlineData("authorizer.path('/x').check('get').allowed()", "undeclared reference to 'authorizer'")]
    [InlineData("1 + 'a'", "no matching overload for '_+_' applied to '(int, string)'")]
    [InlineData("'a'.matches('(?=a)')", "invalid regular expression")]
    public void What_is_wrong_is_said(string expression, string part) =>
        Assert.Contains(part, Assert.Throws<CelException>(() => Run(expression)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, [0,1,2,3,4,5,6,7,8,9].all(c, [0,1,2,3,4,5,6,7,8,9].all(d, [0,1,2,3,4,5,6,7,8,9].all(e, [0,1,2,3,4,5,6,7,8,9].all(f, a + b + c + d + e + f >= 0))))))")]
    [InlineData("[1,2,3,4,5,6,7,8].map(a, 'xxxxxxxxxxxxxxxx'.replace('x', 'xxxxxxxxxxxxxxxx').replace('x', 'xxxxxxxxxxxxxxxx').replace('x', 'xxxxxxxxxxxxxxxx').replace('x', 'xxxxxxxxxxxxxxxx').replace('x', 'xxxxxxxxxxxxxxxx')).size() > 0")]
    public void Too_much_work_ends_at_the_limit(string expression) => Assert.ThrowsAny<CelException>(() => Run(expression));

    /// <summary>Words in any order: each is refused or evaluated, within its budget.</summary>
    [Fact]
    public void Random_words_end_in_a_value_or_an_error()
    {
        string[] words =
        [
            "1", "'a'", "[1,2]", "{'a':1}", "(", ")", "+", "-", "&&", "||", "?", ":", ".", "size()", "map(x,", "x", "all(x,", "[", "]", ",", "in", "==", "<", "'a'.matches('a')",
            "duration('1s')", "-1", "1u", "1.5", "b'a'", "has(x.y)", "!", "quantity('1')", "exists(y,", "%", "'x'.replace('x','xx')", "timestamp(0)", "null", "'%s'.format([1])",
            ".?a", "[?0]", "optional.none()", "optional.of(1)", "orValue(1)", "optMap(z,", "all(i, v,", "format.uri()", "{?'a':",
        ];
        var random = new Random(1);
        var count = Environment.GetEnvironmentVariable("DECLARATIVE_TEST_ALL") == "1" ? 1_000_000 : 20_000;
        var evaluated = 0;
        for (var i = 0; i < count; i++)
        {
            var expression = string.Join(' ', Enumerable.Range(0, random.Next(1, 14)).Select(_ => words[random.Next(words.Length)]));
            try
            {
                Run(expression);
                evaluated++;
            }
            catch (CelException refused)
            {
                Assert.NotEmpty(refused.Message);
            }
        }
        Assert.InRange(evaluated, count / 1000, count);
    }

    private static string Evaluate(string expression)
    {
        try
        {
            return CelValues.Text(Run(expression));
        }
        catch (CelException)
        {
            return Fails;
        }
    }

    private static object? Run(string expression) =>
        CelProgram.Compile(expression, new Dictionary<string, CelType>()).Evaluate(new Dictionary<string, object?>(), new CelMeter(100_000));
}
