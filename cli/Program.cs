using System.CommandLine;
using Declarative.Cli;
using Declarative.Cli.Commands;

// Before everything else: it is started once per pod of the example manifests and has to be quick.
if (args is ["sample-web", .. var rest])
    return await SampleWeb.Run(rest, TimeProvider.System);

// The one place that knows real time and real chance; everything below is handed both.
var machine = new Machine(TimeProvider.System, new Random())
{
    OnThread = work => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default),
};

var root = new RootCommand("The Kubernetes API over Mesos-native tasks.")
{
    UpCommand.Make(machine),
    DownCommand.Make(machine),
    ApiServerCommand.Make(machine),
    ControllersCommand.Make(machine),
    DnsCommand.Make(machine),
    LbCommand.Make(machine),
    MesosCommand.Make(machine),
    SimulateCommand.Make(machine),
    RestoreCommand.Make(),
};
foreach (var verb in Verb.All(machine)) root.Add(verb);
return await root.Parse(args).InvokeAsync();
