using Declarative.Bench.Api;
using Declarative.Bench.Dns;
using Declarative.Bench.Lb;

// One load generator per part: declarative bench api|dns|lb …
return args switch
{
    ["api", .. var rest] => ApiBench.Run(rest),
    ["dns", .. var rest] => DnsBench.Run(rest),
    ["lb", .. var rest] => LbBench.Run(rest),
    _ => Unknown(),
};

static int Unknown()
{
    Console.Error.WriteLine("usage: bench api|dns|lb [options]");
    return 2;
}
