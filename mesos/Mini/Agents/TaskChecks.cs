using Declarative.Mesos.Mini.Runners;
using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// The health check and the check of one running task, with the meaning that Mesos' executors give them: both run every interval, one at a
/// time; health is reported at each failure and at each change to healthy, a check's result when it differs from the last.
/// </summary>
internal sealed class TaskChecks(AgentTask task, AgentWorld world, IReadOnlyList<(string Name, string Value)> environment, string sandbox)
{
    private static readonly TimeSpan Forever = TimeSpan.FromDays(1);

    /// <summary>
    /// A check that has not succeeded yet is asked again after this time, then after twice as long, up to its interval: what comes up is seen at
    /// once (Kubernetes doc "Configure Liveness, Readiness and Startup Probes": before a container is ready its readiness probe may run at other times).
    /// </summary>
    private static readonly TimeSpan FirstAgain = TimeSpan.FromMilliseconds(100);

    /// <param name="started">When the task began to run: the grace period counts from there, also over a restart of the agent.</param>
    public async Task Health(HealthCheck check, DateTimeOffset started, CancellationToken stop)
    {
        var failures = 0;
        await Pause(check.DelaySeconds, stop);
        while (true)
        {
            if (await world.Checking(IsHealthy(check, stop)))
            {
                failures = 0;
                if (task.Healthy != true)
                    task.ReportHealth(true);
            }
            else if (task.Healthy is not null || world.Time.GetUtcNow() >= started + TimeSpan.FromSeconds(check.GracePeriodSeconds))
            {
                failures++;
                task.ReportHealth(false);
                if (check.ConsecutiveFailures > 0 && failures >= check.ConsecutiveFailures)
                {
                    task.Kill(policy: null);
                    return;
                }
            }

            await Pause(check.IntervalSeconds, stop);
        }
    }

    public async Task Check(CheckInfo check, CancellationToken stop)
    {
        var sooner = FirstAgain;
        await Pause(check.DelaySeconds, stop);
        while (true)
        {
            var result = await world.Checking(Result(check, stop));
            // As bytes: Equals takes an absent value and the default one for the same.
            if (task.CheckStatus is null || !result.ToByteString().Equals(task.CheckStatus.ToByteString()))
                task.ReportCheck(result);
            if (Succeeded(result))
                sooner = Forever;
            await Task.Delay(Min(sooner, TimeSpan.FromSeconds(check.IntervalSeconds)), world.Time, stop);
            sooner = Min(sooner * 2, Forever);
        }
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static bool Succeeded(CheckStatusInfo result) =>
        result.Type switch
        {
            CheckInfo.Types.Type.Command => result.Command is { HasExitCode: true, ExitCode: 0 },
            CheckInfo.Types.Type.Http => result.Http is { HasStatusCode: true, StatusCode: >= 200 and < 400 },
            _ => result.Tcp?.Succeeded == true,
        };

    /// <summary>What a check's status says before the first result, and when there was none in time.</summary>
    public static CheckStatusInfo NoResult(CheckInfo check) =>
        check.Type switch
        {
            CheckInfo.Types.Type.Command => new() { Type = check.Type, Command = new() },
            CheckInfo.Types.Type.Http => new() { Type = check.Type, Http = new() },
            CheckInfo.Types.Type.Tcp => new() { Type = check.Type, Tcp = new() },
            _ => new() { Type = check.Type },
        };

    private async Task<bool> IsHealthy(HealthCheck check, CancellationToken stop)
    {
        var timeout = Timeout(check.TimeoutSeconds);
        switch (check.Type)
        {
            case HealthCheck.Types.Type.Command:
                return await Run(check.Command, timeout, stop) == 0;
            case HealthCheck.Types.Type.Http:
                var scheme = check.Http.HasScheme ? check.Http.Scheme : "http";
                var code = await Probes.Http(scheme, world.Ip, (int)check.Http.Port, check.Http.Path, timeout, world.Time, stop);
                return code is { } status && (check.Http.Statuses.Count > 0 ? check.Http.Statuses.Contains((uint)status) : status is >= 200 and < 400);
            case HealthCheck.Types.Type.Tcp:
                return await Probes.Tcp(world.Ip, (int)check.Tcp.Port, timeout, world.Time, stop);
            default:
                // The master refuses these.
                return true;
        }
    }

    private async Task<CheckStatusInfo> Result(CheckInfo check, CancellationToken stop)
    {
        var timeout = Timeout(check.TimeoutSeconds);
        var result = NoResult(check);
        switch (check.Type)
        {
            case CheckInfo.Types.Type.Command:
                if (await Run(check.Command.Command_, timeout, stop) is { } exit)
                    result.Command.ExitCode = exit;
                break;
            case CheckInfo.Types.Type.Http:
                if (await Probes.Http("http", world.Ip, (int)check.Http.Port, check.Http.Path, timeout, world.Time, stop) is { } code)
                    result.Http.StatusCode = (uint)code;
                break;
            case CheckInfo.Types.Type.Tcp:
                result.Tcp.Succeeded = await Probes.Tcp(world.Ip, (int)check.Tcp.Port, timeout, world.Time, stop);
                break;
        }

        return result;
    }

    private async Task<int?> Run(CommandInfo command, TimeSpan timeout, CancellationToken stop)
    {
        var variables = TaskCommand.Merge(environment, command.Environment);
        var (file, arguments, _) = TaskCommand.Resolve(command, variables, sandbox);
        // As a shell would say it.
        if (file is null)
            return 127;
        return await world.Runner.Run(
            file,
            arguments,
            [.. variables.Select(variable => $"{variable.Name}={variable.Value}")],
            sandbox,
            timeout,
            task.Mounts,
            stop
        );
    }

    private Task Pause(double seconds, CancellationToken stop) => Task.Delay(TimeSpan.FromSeconds(seconds), world.Time, stop);

    private static TimeSpan Timeout(double seconds) => seconds > 0 ? TimeSpan.FromSeconds(seconds) : Forever;
}
