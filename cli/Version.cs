using System.Reflection;

namespace Declarative.Cli;

/// <summary>Version and commit of this build.</summary>
internal static class Version
{
    /// <summary><c>0.1.0+&lt;commit&gt;</c>, as the compiler stamped it.</summary>
    public static string Full { get; } = typeof(Version).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    public static string Number => Full.Split('+')[0];

    public static string Text => Full.Split('+', 2) is [var number, var commit] ? $"declarative {number} (commit {commit[..Math.Min(12, commit.Length)]})" : $"declarative {Full}";
}
