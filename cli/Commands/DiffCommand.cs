using System.CommandLine;
using Declarative.Api;
using Declarative.Api.Wire;
using Declarative.Cli.Verbs;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative diff</c>: what apply would change, as the server says it (a dry run). Exit code 0 = nothing, 1 = something, 2 = an error.</summary>
internal static class DiffCommand
{
    private const int Failed = 2;

    public static Command Make(Machine machine)
    {
        var files = Verb.Files();
        return new Command("diff", "Show what apply would change.") { files }.With(machine, async (session, parsed, stop) =>
        {
            var reader = new ManifestReader(Console.In);
            var manifests = reader.Read(parsed.GetValue(files) is { Length: > 0 } paths ? paths : throw new UsageException("diff what? Give -f PATH"));
            var faults = new List<string>(reader.Faults);
            var isDifferent = false;
            foreach (var manifest in manifests)
            {
                if (ApplyInput.NamespaceFault(manifest, session) is { } fault) faults.Add(fault);
                else
                {
                    try
                    {
                        var text = await Diff(session, manifest, stop);
                        isDifferent |= text.Length > 0;
                        await session.Out.WriteAsync(text);
                    }
                    catch (ApiException e) when (!e.IsRetryable)
                    {
                        faults.AddRange(manifest.Faults(e.Status));
                    }
                }
            }
            foreach (var fault in faults) await session.Errors.WriteLineAsync("error: " + fault);
            return faults.Count > 0 ? Failed : isDifferent ? 1 : 0;
        });
    }

    private static async Task<string> Diff(Session session, Manifest manifest, CancellationToken stop)
    {
        var applied = await ClientApply.Apply(session.Api, manifest, DryRun.Server, [], stop);
        var name = $"{manifest.Kind.ApiVersion.Replace('/', '.')}.{manifest.Kind.Name}.{manifest.Namespace}.{manifest.Name}";
        return LineDiff.Unified("live/" + name, Text(applied.Before), "merged/" + name, Text(applied.After));
    }

    /// <summary>Without what every write changes, and without the annotation that repeats the manifest.</summary>
    private static string Text(Stored? stored)
    {
        if (stored is null) return "";
        var json = Output.Shown(stored);
        var metadata = json["metadata"]!.AsObject();
        metadata.Remove("resourceVersion");
        metadata.Remove("generation");
        if (metadata["annotations"] is System.Text.Json.Nodes.JsonObject annotations)
        {
            annotations.Remove(ClientApply.Annotation);
            if (annotations.Count == 0) metadata.Remove("annotations");
        }
        return YamlText.Write(json);
    }
}
