using Xunit;

namespace Declarative.Tests.Architecture;

public sealed class SourceTextTests
{
    [Theory]
    [InlineData("a // b\nc", "a     \nc")]
    [InlineData("a /* b\n */ c", "a     \n    c")]
    [InlineData("a \"b\\\"c\" d", "a        d")]
    [InlineData("a @\"b\"\"c\\\" d", "a          d")]
    [InlineData("a \"\" b '\"' c", "a    b     c")]
    [InlineData("""a $"b{c["d"]}e{{f}}" g""", "a     c[   ]         g")]
    [InlineData("a \"\"\"b \"c\" d\"\"\" e", "a               e")]
    [InlineData("a $$\"\"\"{b}{{c}}d\"\"\" e", "a           c       e")]
    [InlineData("@class x;", "@class x;")]
    public void Comments_and_texts_are_blanked(string text, string code) => Assert.Equal(code, SourceText.CodeOf(text));
}
