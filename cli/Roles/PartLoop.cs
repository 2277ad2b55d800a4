using Declarative.Api;
using Declarative.Mesos.Scheduler;
using Declarative.Sim;
using Microsoft.Extensions.Logging;

namespace Declarative.Cli.Roles;

/// <summary>Runs parts, each bound to its own user, until stopped. A part that throws is a bug: it is logged and started again after a pause, and takes no other down.</summary>
internal sealed partial class PartLoop(IReadOnlyList<Part> parts, Func<User, IApi> api, Func<IMaster> master, Machine machine, ILogger log)
{
    private static readonly TimeSpan RestartAfter = TimeSpan.FromSeconds(1);

    public Task Run(CancellationToken stop) => Task.WhenAll(parts.Select(part => Keep(part, stop)));

    private async Task Keep(Part part, CancellationToken stop)
    {
        await Task.Yield();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await part.Run(api(part.User), master(), machine.Time, machine.NewRandom(), stop);
                if (stop.IsCancellationRequested) return;
                Ended(log, part.Name);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e)
            {
                Failed(log, part.Name, e);
            }
            try
            {
                await Task.Delay(RestartAfter, machine.Time, stop);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "{Part} failed and is started again")]
    private static partial void Failed(ILogger logger, string part, Exception error);

    [LoggerMessage(Level = LogLevel.Error, Message = "{Part} ended by itself and is started again")]
    private static partial void Ended(ILogger logger, string part);
}
