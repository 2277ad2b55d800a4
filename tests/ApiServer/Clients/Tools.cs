namespace Declarative.Tests.ApiServer.Clients;

/// <summary>Where ./test puts programs that come neither with the system nor with its packages.</summary>
internal static class Tools
{
    /// <summary><c>$XDG_CACHE_HOME/declarative-tests</c>, by default in <c>~/.cache</c>.</summary>
    public static string Directory { get; } = Path.Combine(
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "declarative-tests");
}
