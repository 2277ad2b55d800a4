using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Mini.Agents;

/// <summary>The runs of an agent, oldest first, ended ones until their sandbox is removed. Thread-safe.</summary>
internal sealed class RunTable
{
    private readonly Lock gate = new();
    private readonly List<ExecutorRun> runs = [];
    private readonly Dictionary<(string Framework, string Executor), ExecutorRun> byExecutor = [];
    private readonly Dictionary<(string Framework, string Task), AgentTask> byTask = [];

    public IReadOnlyList<ExecutorRun> All
    {
        get
        {
            lock (gate)
                return [.. runs];
        }
    }

    public void Add(ExecutorRun run)
    {
        lock (gate)
        {
            runs.Add(run);
            byExecutor[(run.FrameworkId.Value, run.ExecutorId.Value)] = run;
        }
    }

    /// <summary>The run has these tasks too now; a later one stands for earlier ones of its id.</summary>
    public void Index(ExecutorRun run)
    {
        lock (gate)
        {
            foreach (var task in run.Tasks)
                byTask[(run.FrameworkId.Value, task.Id)] = task;
        }
    }

    public void Remove(ExecutorRun run)
    {
        lock (gate)
        {
            runs.Remove(run);
            var executor = (run.FrameworkId.Value, run.ExecutorId.Value);
            if (byExecutor.GetValueOrDefault(executor) == run)
                byExecutor.Remove(executor);
            foreach (var task in run.Tasks)
            {
                var key = (run.FrameworkId.Value, task.Id);
                if (byTask.GetValueOrDefault(key) == task)
                    byTask.Remove(key);
            }
        }
    }

    /// <summary>The executor's last run; null where there is none.</summary>
    public ExecutorRun? Find(FrameworkID framework, ExecutorID executor)
    {
        lock (gate)
            return byExecutor.GetValueOrDefault((framework.Value, executor.Value));
    }

    /// <summary>The last task of that id; null where there is none.</summary>
    public AgentTask? Find(FrameworkID framework, TaskID task)
    {
        lock (gate)
            return byTask.GetValueOrDefault((framework.Value, task.Value));
    }
}
