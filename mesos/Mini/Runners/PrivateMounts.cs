using System.Diagnostics;
using System.Globalization;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>
/// A mount namespace of a process' own, in which one file stands in the place of another: unshare(1) and mount(8), which need the right to
/// mount. unshare becomes the program that it starts, so process ids and descriptors stay what they are.
/// </summary>
internal static class PrivateMounts
{
    private static readonly string? Unshare = Found("unshare");
    private static readonly string? Mount = Found("mount");
    private static readonly string? Enter = Found("nsenter");
    private static readonly Lazy<bool> Allowed = new(Try);

    /// <summary>Whether this process may.</summary>
    public static bool AreAllowed => Allowed.Value;

    /// <summary>The spawn in a namespace of its own; its shell script is to begin with <see cref="Bind"/>.</summary>
    public static Spawn In(Spawn spawn) =>
        spawn with { Path = Unshare!, Arguments = ["unshare", "--mount", "--propagation", "private", "--", spawn.Path, .. spawn.Arguments.Skip(1)] };

    /// <summary>The spawn in the namespace of another process, where nsenter(1) is there.</summary>
    public static Spawn Of(int process, Spawn spawn) =>
        Enter is null ? spawn
        : spawn with
        {
            Path = Enter,
            // Whoever enters begins at the root.
            Arguments =
            [
                "nsenter", "--mount", "--target", process.ToString(CultureInfo.InvariantCulture), "--",
                "/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", spawn.WorkingDirectory, spawn.Path, .. spawn.Arguments.Skip(1),
            ],
        };

    /// <summary>Shell text that puts a file in another's place and is silent about it.</summary>
    public static string Bind(string file, string place) => $"{Mount} --bind '{file.Replace("'", "'\\''", StringComparison.Ordinal)}' {place} >/dev/null 2>&1 3>&- 4>&-; ";

    private static string? Found(string program) => new[] { "/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/" }.Select(folder => folder + program).FirstOrDefault(File.Exists);

    private static bool Try()
    {
        if (Unshare is null || Mount is null || !File.Exists("/etc/resolv.conf"))
            return false;
        using var process = Process.Start(new ProcessStartInfo(Unshare, ["--mount", "--propagation", "private", "--", Mount, "--bind", "/etc/resolv.conf", "/etc/resolv.conf"])
        {
            UseShellExecute = false, RedirectStandardError = true, RedirectStandardOutput = true,
        });
        process!.WaitForExit();
        return process.ExitCode == 0;
    }
}
