using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>
/// What an earlier agent left of a framework that does not checkpoint: with the agent its executors ended, as the framework was told. They end
/// here at the latest, unheard of, and nothing of them is kept.
/// </summary>
/// <remarks>Source: Mesos' document "Agent recovery" (framework checkpointing).</remarks>
internal static class Abandoned
{
    /// <param name="tasks">The directories of the run's tasks, named by group and container.</param>
    /// <param name="own">Of the process of an executor that the framework brought.</param>
    public static async Task End(AgentWorld world, FrameworkID framework, ExecutorID executor, string container, IEnumerable<string> tasks, string own)
    {
        await Kill(world, container, own);
        foreach (var task in tasks)
            await Kill(world, Path.GetFileName(task)[(Path.GetFileName(task).IndexOf('.', StringComparison.Ordinal) + 1)..], task);
        try
        {
            world.Directory.Delete(container, world.Directory.Sandbox(world.Id!.Value, framework.Value, executor.Value, container));
        }
        catch (Exception busy) when (busy is IOException or UnauthorizedAccessException)
        {
            Log.Note(world.Log, world.Options.Hostname, $"what is left of executor {executor.Value} cannot be removed: {busy.Message}");
        }
    }

    private static async Task Kill(AgentWorld world, string name, string recordDirectory)
    {
        if (!Directory.Exists(recordDirectory) || world.Runner.Adopt(name, recordDirectory) is not { } process)
            return;
        try
        {
            await process.Kill();
            await process.Ended;
        }
        catch (OperationCanceledException)
        {
            // This agent stops too; the next one finds it again.
            return;
        }
    }
}
