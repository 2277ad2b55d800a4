using System.Text;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary><c>/livez</c>, <c>/readyz</c>, <c>/healthz</c> and <c>/readyz/CHECK</c>, in the words that kube-apiserver uses; open to everybody.</summary>
internal sealed class Health(IReadOnlyList<HealthCheck> readiness)
{
    private static readonly HealthCheck Ping = new("ping", _ => default);
    private readonly IReadOnlyList<HealthCheck> _ready = [Ping, .. readiness];
    private readonly IReadOnlyList<HealthCheck> _live = [Ping];

    public bool Serves(string path) =>
        path is "/livez" or "/readyz" or "/healthz"
        || path.StartsWith("/livez/", StringComparison.Ordinal) || path.StartsWith("/readyz/", StringComparison.Ordinal) || path.StartsWith("/healthz/", StringComparison.Ordinal);

    public async Task Answer(HttpContext context, string path)
    {
        var words = path.Split('/', 3);
        var (name, one) = (words[1], words.Length > 2 ? words[2] : "");
        var checks = name == "readyz" ? _ready : _live;
        if (one.Length > 0) checks = [.. checks.Where(x => x.Name == one)];
        if (checks.Count == 0)
        {
            await Answers.Text(context, 404, "404 page not found\n");
            return;
        }
        var excluded = context.Request.Query["exclude"];
        var text = new StringBuilder();
        var failed = false;
        foreach (var check in checks)
        {
            if (excluded.Contains(check.Name))
            {
                text.Append($"[+]{check.Name} excluded: ok\n");
                continue;
            }
            var failure = await check.Failure(context.RequestAborted);
            failed |= failure is not null;
            text.Append(failure is null ? $"[+]{check.Name} ok\n" : $"[-]{check.Name} failed: {failure}\n");
        }
        if (failed) await Answers.Text(context, 500, text.Append($"{name} check failed\n").ToString());
        else if (context.Request.Query.ContainsKey("verbose")) await Answers.Text(context, 200, text.Append($"{name} check passed\n").ToString());
        else await Answers.Text(context, 200, "ok");
    }
}
