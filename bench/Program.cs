using Declarative.Bench.Api;
using Declarative.Bench.Dns;
using Declarative.Bench.Lb;
using Declarative.Bench.Mesos;
using Declarative.Bench.Placement;

// One load generator per part: declarative bench api|dns|lb|mesos|placement …
return args switch
{
    ["api", .. var rest] => ApiBench.Run(rest),
    ["dns", .. var rest] => DnsBench.Run(rest),
    ["lb", .. var rest] => LbBench.Run(rest),
    ["mesos", .. var rest] => MesosBench.Run(rest),
    ["placement", .. var rest] => PlacementBench.Run(rest),
    _ => Unknown(),
};

static int Unknown()
{
    Console.Error.WriteLine("usage: bench api|dns|lb|mesos|placement [options]");
    return 2;
}
