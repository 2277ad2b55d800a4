using System.Text;
using Declarative.Api;
using Declarative.Api.Schema;
using Declarative.Tests.ApiServer;
using FsCheck.Fluent;
using Xunit;

namespace Declarative.Tests.Api;

public sealed class SchemaFuzzTests
{
    [Fact]
    public void Whatever_the_bytes_are_the_result_is_errors_or_a_fixed_point()
    {
        var type = TypeTable.Kind("apps", "v1", "Deployment");
        var samples = ArbitraryObject.Of(type).Sample(100, new FsCheck.Rnd(1, 3), 200).Select(x => Encoding.UTF8.GetBytes(x.ToJsonString())).ToList();
        byte[][] pieces =
        [
            "null"u8.ToArray(), "\\ud800"u8.ToArray(), "\\u0061"u8.ToArray(), "{"u8.ToArray(), "]"u8.ToArray(), "\""u8.ToArray(), "1e9"u8.ToArray(), "1e999"u8.ToArray(), "-"u8.ToArray(),
            "\"spec\":"u8.ToArray(), ","u8.ToArray(), [0xff], [0], Encoding.UTF8.GetBytes(new string('[', 3_000)), Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("{\"spec\":", 500))),
        ];
        var (accepted, refused) = (0, 0);
        Fuzz.Holds(Gen.Zip(Fuzz.Mutated(samples, pieces), Gen.Choose(0, 2)), input =>
        {
            var (bytes, mode) = input;
            var once = SchemaCheck.Check(type, bytes, (FieldValidation)mode);
            if (once.Json is null)
            {
                refused++;
                return once.Errors.Count > 0;
            }

            accepted++;
            return once.Json.AsSpan().SequenceEqual(SchemaCheck.Check(type, once.Json, FieldValidation.Strict).Json) && once.Json.AsSpan().SequenceEqual(JsonTree.Parse(once.Json).ToBytes());
        });
        Assert.True(accepted > 1000 && refused > 1000, $"{accepted} accepted, {refused} refused");
    }
}
