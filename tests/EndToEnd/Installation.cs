using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>What the tests run: the executable that was built with them, and the clients of this machine.</summary>
internal static class Installation
{
    public static string Root { get; } = FindRoot();

    public static string Executable => Path.Combine(Root, "cli", "bin", "Release", "net10.0", "declarative");

    public static string Hello => Path.Combine(Root, "manifests", "hello");

    /// <summary>Skips where what the tests need is not there.</summary>
    public static void Require()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "processes are found by /proc");
        Assert.SkipUnless(File.Exists(Executable), $"{Executable} is not built (Release)");
        Assert.SkipWhen(Kubectls.All.Count == 0, Kubectls.NoneFound);
    }

    public static string? OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries).Select(x => Path.Combine(x, program)).FirstOrDefault(File.Exists);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Declarative.sln"))) return folder.FullName;
        }
        throw new InvalidOperationException($"no Declarative.sln above {AppContext.BaseDirectory}");
    }
}
