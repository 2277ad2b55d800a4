using Declarative.Cli;
using Declarative.Cli.Commands;
using Xunit;

namespace Declarative.Tests.Cli;

public sealed class CommandTableTests
{
    private static readonly Machine Machine = new(TimeProvider.System, new Random(1), Task.Run);

    [Fact]
    public void Every_row_makes_the_command_of_its_name() =>
        Assert.All(CommandTable.Rows, x => Assert.Equal(x.Name, x.Make(Machine).Name));

    [Fact]
    public void Who_names_no_command_is_shown_all_of_them()
    {
        Assert.Equal("apiserver", Assert.Single(CommandTable.For(["apiserver", "--help"], Machine)).Name);
        Assert.Equal(CommandTable.Rows.Count, CommandTable.For(["--help"], Machine).Count());
        Assert.Equal(CommandTable.Rows.Count, CommandTable.For([], Machine).Count());
    }
}
