namespace Declarative.Bench.Api;

/// <summary>What a user who asks now and then notices of one who floods: the same few requests alone, and beside a flood of the same kind.</summary>
internal static class FloodLoad
{
    private const int Flooding = 128;

    public static async Task Run(Target target, string run, double seconds)
    {
        foreach (var (what, code, request) in ((string, int, Func<string, byte[]>)[])
        [
            ("list 10 ConfigMaps", 200, user => ApiConnection.Request("GET", "/api/v1/namespaces/default/configmaps?limit=10", user: user)),
            ("create ConfigMap", 201, user => ApiConnection.Request("POST", "/api/v1/namespaces/default/configmaps", """{"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"f-"},"data":{"a":"b"}}""", user: user)),
        ])
        {
            Console.WriteLine(await Calm("alone", seconds));
            var flood = Task.Run(() => ApiLoad.Run(target, $"{what}, {Flooding} flooding", Flooding, seconds + 1, code, (_, _) => request("flood-" + run)));
            Console.WriteLine(await Calm("beside a flood", seconds));
            Console.WriteLine(await flood);

            Task<string> Calm(string when, double length) => ApiLoad.Run(target, $"{what}, 1 client {when}", 1, length, code, (_, _) => request("calm-" + run));
        }
    }
}
