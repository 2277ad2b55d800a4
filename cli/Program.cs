using System.CommandLine;
using System.Runtime;
using Declarative.Cli;
using Declarative.Cli.Commands;

// Before everything else: it is started once per pod of the example manifests and has to be quick.
if (args is ["sample-web", .. var rest])
    return await SampleWeb.Run(rest, TimeProvider.System);

// What a start of a server has compiled is noted beside the executable, where that may be written, and the next one compiles it ahead of
// its need, on another processor.
if (args is ["up" or "apiserver" or "controllers" or "dns" or "lb" or "mesos", ..])
{
    ProfileOptimization.SetProfileRoot(AppContext.BaseDirectory);
    ProfileOptimization.StartProfile(args[0] + ".startup");
}

// The one place that knows real time and real chance; everything below is handed both.
var machine = new Machine(TimeProvider.System, new Random(), work => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));

var root = new RootCommand("The Kubernetes API over Mesos-native tasks.");
foreach (var command in CommandTable.For(args, machine)) root.Add(command);
return await root.Parse(args).InvokeAsync();
