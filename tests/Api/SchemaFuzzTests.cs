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
        var random = new Random(7);
        var type = TypeTable.Kind("apps", "v1", "Deployment");
        var samples = ArbitraryObject.Of(type).Sample(100, new FsCheck.Rnd(1, 3), 200).Select(x => Encoding.UTF8.GetBytes(x.ToJsonString())).ToList();
        byte[][] pieces = ["null"u8.ToArray(), "\\ud800"u8.ToArray(), "\\u0061"u8.ToArray(), "{"u8.ToArray(), "]"u8.ToArray(), "\""u8.ToArray(), "1e9"u8.ToArray(), "\"spec\":"u8.ToArray(), ","u8.ToArray(), [0xff], [0]];
        var (accepted, refused) = (0, 0);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = samples[random.Next(samples.Count)].ToList();
            for (var n = random.Next(0, 3); n > 0 && bytes.Count > 0; n--)
            {
                var at = random.Next(bytes.Count);
                var piece = pieces[random.Next(pieces.Length)];
                bytes.RemoveRange(at, Math.Min(random.Next(0, 6), bytes.Count - at));
                bytes.InsertRange(at, piece);
            }

            var mode = (FieldValidation)random.Next(3);
            var once = SchemaCheck.Check(type, bytes.ToArray(), mode);
            if (once.Json is null)
            {
                Assert.NotEmpty(once.Errors);
                refused++;
                continue;
            }

            Assert.Equal(Encoding.UTF8.GetString(once.Json), Encoding.UTF8.GetString(SchemaCheck.Check(type, once.Json, FieldValidation.Strict).Json!));
            Assert.Equal(Encoding.UTF8.GetString(once.Json), Encoding.UTF8.GetString(JsonTree.Parse(once.Json).ToBytes()));
            accepted++;
        }

        Assert.True(accepted > 1000 && refused > 1000, $"{accepted} accepted, {refused} refused");
    }
}
