using System.CommandLine;
using Declarative.Cli;
using Declarative.Cli.Commands;
using Declarative.Controllers.Placement;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>As what framework the controllers register with Mesos.</summary>
public sealed class FrameworkOptionTests
{
    [Fact]
    public void Name_role_user_and_failover_time_are_settable()
    {
        var options = Read("--framework-name marathon --framework-role eng/web --framework-user nobody --failover-timeout 3600");
        Assert.Equal(("marathon", "eng/web", "nobody", TimeSpan.FromHours(1)), (options.FrameworkName, options.Role, options.User, options.FailoverTimeout));
    }

    [Fact]
    public void Nothing_said_is_the_default()
    {
        var options = Read("");
        Assert.Equal(("declarative", "declarative", Environment.UserName, TimeSpan.FromDays(7)), (options.FrameworkName, options.Role, options.User, options.FailoverTimeout));
    }

    [Theory]
    [InlineData("--framework-name My_Framework", "--framework-name My_Framework: expected lower case letters")]
    [InlineData("--framework-role eng//web", "--framework-role eng//web: expected *, or names joined by '/'")]
    [InlineData("--framework-role eng/*", "--framework-role eng/*: expected *, or names joined by '/'")]
    [InlineData("--framework-role -a", "--framework-role -a: expected")]
    [InlineData("--failover-timeout -1", "--failover-timeout -1: expected seconds")]
    [InlineData("--failover-timeout NaN", "--failover-timeout NaN: expected seconds")]
    public void What_cannot_be_is_refused_by_its_name(string options, string error) =>
        Assert.StartsWith(error, Assert.Throws<UsageException>(() => Read(options)).Message, StringComparison.Ordinal);

    private static PlacementOptions Read(string options)
    {
        var framework = new FrameworkOptions();
        var command = new Command("controllers");
        framework.AddTo(command);
        return framework.Read(command.Parse(options));
    }
}
