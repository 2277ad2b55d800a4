using System.Text;

namespace Declarative.Tests.Architecture;

/// <summary>The files of this checkout as text, without what the build makes.</summary>
internal static class Repository
{
    /// <summary>Where real I/O lives (architecture.md, rule 5; the same list stands in .editorconfig).</summary>
    public static readonly string[] RealInputOutput =
    [
        "apiserver/Http", "apiserver/Streams", "apiserver/Storage/Sqlite", "apiserver/Storage/Etcd", "client/Http", "mesos/Scheduler/Http", "mesos/Scheduler/ZooKeeper",
        "mesos/AgentClient", "mesos/Mini/Http", "mesos/Mini/Runners", "dns/Server", "lb/Proxy", "lb/Health", "lb/Acme", "bench", "tests",
        "cli/Program.cs",
    ];

    private static readonly string[] Made = ["bin", "obj", "TestResults"];

    public static string Root { get; } = FindRoot();

    public static IReadOnlyList<SourceFile> Files { get; } = [.. Read(new DirectoryInfo(Root)).OrderBy(x => x.Path, StringComparer.Ordinal)];

    public static IEnumerable<SourceFile> CSharp => Files.Where(x => x.IsCSharp);

    /// <summary>The C# of the product: what users run.</summary>
    public static IEnumerable<SourceFile> Product => CSharp.Where(x => x.Project is not ("tests" or "bench"));

    public static SourceFile File(string path) => Files.Single(x => x.Path == path);

    public static bool Has(string path) => Path.Exists(Path.Combine(Root, path));

    private static string FindRoot()
    {
        for (var at = new DirectoryInfo(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            if (System.IO.File.Exists(Path.Combine(at.FullName, "Declarative.sln"))) return at.FullName;
        }
        throw new InvalidOperationException("the tests run from inside a checkout: no Declarative.sln above " + AppContext.BaseDirectory);
    }

    private static IEnumerable<SourceFile> Read(DirectoryInfo directory)
    {
        foreach (var inner in directory.EnumerateDirectories().Where(x => !Made.Contains(x.Name) && (x.Name[0] != '.' || x.Name == ".ci")))
        {
            foreach (var file in Read(inner)) yield return file;
        }
        foreach (var file in directory.EnumerateFiles())
        {
            var bytes = System.IO.File.ReadAllBytes(file.FullName);
            // A worktree has a file .git; a zero byte makes a file no text.
            if (file.Name == ".git" || file.Name == ".build.lock" || bytes.Contains((byte)0)) continue;
            yield return new(Path.GetRelativePath(Root, file.FullName).Replace('\\', '/'), Encoding.UTF8.GetString(bytes));
        }
    }
}
