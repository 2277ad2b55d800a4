using Xunit;

namespace Declarative.Tests.Client;

internal static class Eventually
{
    /// <summary>Waits until the condition holds; fails after a time that only a hang reaches.</summary>
    public static async Task True(Func<bool> condition, string what, int seconds = 30)
    {
        var end = DateTime.UtcNow.AddSeconds(seconds);
        while (!condition())
        {
            Assert.True(DateTime.UtcNow < end, $"not within {seconds} s: {what}");
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>The same for a condition that is itself asked for.</summary>
    public static async Task Async(Func<Task<bool>> condition, string what, int seconds = 30)
    {
        var end = DateTime.UtcNow.AddSeconds(seconds);
        while (!await condition())
        {
            Assert.True(DateTime.UtcNow < end, $"not within {seconds} s: {what}");
            await Task.Delay(50, TestContext.Current.CancellationToken);
        }
    }
}
