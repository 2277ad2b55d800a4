using Declarative.Api;
using Declarative.Cli.Verbs;
using Declarative.Client.Http;

namespace Declarative.Cli.Commands;

/// <summary>Manifests named on a command line, and what it takes to make them so.</summary>
internal static class ApplyInput
{
    /// <summary>Throws <see cref="UsageException"/> where nothing can be read.</summary>
    public static void Check(string path)
    {
        if (path != "-" && !File.Exists(path) && !Directory.Exists(path)) throw new UsageException($"--apply {path}: there is no such file or directory");
    }

    /// <summary>For <c>up --apply</c>: throws <see cref="UsageException"/> with everything that is wrong, after what is right was applied.</summary>
    public static async Task Apply(IReadOnlyList<string> paths, string kubeconfig, Machine machine, TextWriter output, CancellationToken stop)
    {
        var config = Kubeconfig.Load(kubeconfig);
        using var api = new HttpApi(config, machine.Time);
        var errors = new StringWriter();
        if (await Apply(new Session(api, config.Namespace, false, machine, output, errors), paths, DryRun.None, wait: false, stop) != 0) throw new UsageException(errors.ToString().Trim());
        await output.WriteAsync(errors.ToString());
    }

    /// <summary>Applies all documents that can be applied, in their order; the exit code is 1 where one could not be.</summary>
    public static async Task<int> Apply(Session session, IReadOnlyList<string> paths, DryRun dryRun, bool wait, CancellationToken stop)
    {
        var reader = new ManifestReader(Console.In);
        var manifests = reader.Read(paths);
        var faults = new List<string>(reader.Faults);
        var waitFor = new List<(ResourceKey Key, long Revision)>();
        foreach (var manifest in manifests)
        {
            if (NamespaceFault(manifest, session) is { } fault)
            {
                faults.Add(fault);
                continue;
            }
            var warnings = new List<string>();
            try
            {
                var applied = await ClientApply.Apply(session.Api, manifest, dryRun, warnings, stop);
                await session.Out.WriteLineAsync($"{KindNames.Of(manifest.Kind, manifest.Name)} {applied.Did}{dryRun switch { DryRun.Client => " (dry run)", DryRun.Server => " (server dry run)", _ => "" }}");
                if (wait && dryRun == DryRun.None && RolloutProgress.Knows(manifest.Kind)) waitFor.Add((manifest.Key, applied.After!.Revision));
            }
            catch (ApiException e) when (!e.IsRetryable)
            {
                faults.AddRange(manifest.Faults(e.Status));
            }
            await session.Warn(warnings);
        }
        if (manifests.Count == 0 && faults.Count == 0) faults.Add("no objects passed to apply");
        foreach (var fault in faults) await session.Errors.WriteLineAsync("error: " + fault);
        var good = faults.Count == 0;
        foreach (var (key, revision) in waitFor) good &= await RolloutProgress.Wait(session, key, revision, stop);
        return good ? 0 : 1;
    }

    /// <summary>Gives a manifest its namespace; what is wrong where it names another than the command line does.</summary>
    public static string? NamespaceFault(Manifest manifest, Session session)
    {
        if (!manifest.Kind.Namespaced) return null;
        if (manifest.Namespace.Length == 0) manifest.Object["metadata"]!["namespace"] = session.Namespace;
        else if (session.NamespaceGiven && manifest.Namespace != session.Namespace) return manifest.Fault("metadata.namespace", $"the manifest says \"{manifest.Namespace}\", the command line -n {session.Namespace}");
        return null;
    }
}
