using Declarative.Mesos.Mini.Master;
using Xunit;

namespace Declarative.Tests.Mesos;

/// <summary>The file of a master's credentials, in both of Mesos' forms.</summary>
public sealed class CredentialsTests : IDisposable
{
    private readonly string file = Path.GetTempFileName();

    public void Dispose() => File.Delete(file);

    [Theory]
    [InlineData("alice pw\n\n  bob\tpw2  \n")]
    [InlineData("""{"credentials": [{"principal": "alice", "secret": "pw"}, {"principal": "bob", "secret": "pw2"}]}""")]
    public void Lines_and_JSON_say_the_same(string text)
    {
        File.WriteAllText(file, text);
        Assert.Equal([("alice", "pw"), ("bob", "pw2")], Credentials.Read(file).Select(one => (one.Key, one.Value)).Order());
    }

    [Theory]
    [InlineData("", ": names no principal; expected a line PRINCIPAL SECRET each")]
    [InlineData("alice pw\nbob", " line 2: expected PRINCIPAL SECRET, found 1 words")]
    [InlineData("alice pw\nalice pw2", " line 2: principal alice stands here a second time")]
    [InlineData("{", ": line 1 is not JSON")]
    [InlineData("""{"principal": "alice"}""", ": expected an array 'credentials'")]
    [InlineData("""{"credentials": [{"principal": "alice"}]}""", " credentials[0]: expected a text 'secret'")]
    public void What_is_wrong_is_said_with_its_place(string text, string fault)
    {
        File.WriteAllText(file, text);
        Assert.Equal(file + fault, Assert.Throws<FormatException>(() => Credentials.Read(file)).Message);
    }
}
