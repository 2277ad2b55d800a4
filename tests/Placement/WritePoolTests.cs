using Declarative.Controllers.Placement.Desk;
using Declarative.Sim;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Declarative.Tests.Placement;

public class WritePoolTests
{
    [Fact]
    public void What_begins_something_new_is_not_starved_by_what_goes_before_it() => new World(1).Run(async () =>
    {
        var order = new List<string>();
        using var inbox = new Inbox(TimeProvider.System, NullLogger.Instance);
        var pool = new WritePool(1, inbox, NullLogger.Instance);
        using var stop = new CancellationTokenSource();
        var running = inbox.Run(static () => null, stop.Token);
        var done = new TaskCompletionSource();
        inbox.Post(() =>
        {
            Add("first");
            Add("later", isLater: true);
            for (var i = 0; i < 8; i++) Add("status");
        });
        await done.Task;
        stop.Cancel();
        await running;
        Assert.Equal(["first", "status", "status", "status", "status", "later", "status", "status", "status", "status"], order);

        void Add(string name, bool isLater = false) => pool.Add(() =>
        {
            order.Add(name);
            return Task.FromResult<Action>(() =>
            {
                if (order.Count == 10) done.TrySetResult();
            });
        }, isLater);
    });
}
