using System.Globalization;

namespace Declarative.ApiServer.Http;

/// <summary>Kubernetes' priority of versions: v2, v1, v2beta1, v1beta2, v1beta1, v1alpha1, then everything else by its letters.</summary>
internal static class VersionOrder
{
    public static IComparer<string> PreferredFirst { get; } = Comparer<string>.Create(static (a, b) =>
    {
        var (x, y) = (Parts(a), Parts(b));
        if (x.Stability != y.Stability) return y.Stability.CompareTo(x.Stability);
        if (x.Major != y.Major) return y.Major.CompareTo(x.Major);
        return x.Minor != y.Minor ? y.Minor.CompareTo(x.Minor) : string.CompareOrdinal(a, b);
    });

    // v MAJOR [ (alpha | beta) MINOR ]; stability 3 = stable, 2 = beta, 1 = alpha, 0 = of another form.
    private static (int Stability, int Major, int Minor) Parts(string version)
    {
        if (version is not ['v', ..]) return default;
        foreach (var (word, stability) in new[] { ("beta", 2), ("alpha", 1) })
        {
            var at = version.IndexOf(word, StringComparison.Ordinal);
            if (at > 0 && Number(version[1..at], out var major) && Number(version[(at + word.Length)..], out var minor)) return (stability, major, minor);
        }
        return Number(version[1..], out var stable) ? (3, stable, 0) : default;
    }

    private static bool Number(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
