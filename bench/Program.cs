using Declarative.Bench.Api;
using Declarative.Bench.Dns;

// One load generator per part: declarative bench api|dns …
return args switch
{
    ["api", .. var rest] => ApiBench.Run(rest),
    ["dns", .. var rest] => DnsBench.Run(rest),
    _ => Unknown(),
};

static int Unknown()
{
    Console.Error.WriteLine("usage: bench api|dns [options]");
    return 2;
}
