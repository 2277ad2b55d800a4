namespace Declarative.Bench.Dns;

/// <summary>Knot DNS (Debian package knot) with the same zone, on as many threads.</summary>
internal sealed class Knot : Peer
{
    private Knot() : base("knot") { }

    /// <summary>Where knotd is; null: not installed.</summary>
    public static string? Program =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Select(p => Path.Combine(p, "knotd")).FirstOrDefault(File.Exists);

    /// <exception cref="InvalidOperationException">It does not come to answer.</exception>
    public static Knot Start(string program, BenchZone zone, int threads)
    {
        var knot = new Knot();
        try
        {
            File.WriteAllLines(Path.Combine(knot.Folder, "zone"), zone.Contents.Current.Lines());
            File.WriteAllText(Path.Combine(knot.Folder, "knot.conf"), $"""
                server:
                    rundir: {knot.Folder}
                    listen: {knot.Address.Address}@{knot.Address.Port}
                    udp-workers: {threads}
                    tcp-workers: 1
                    background-workers: 1
                database:
                    storage: {knot.Folder}
                log:
                  - target: stderr
                    any: warning
                zone:
                  - domain: mesos.
                    storage: {knot.Folder}
                    file: zone
                    zonefile-sync: -1
                    zonefile-load: whole
                    journal-content: none
                    semantic-checks: off
                """);
            knot.Start(program, ["-c", Path.Combine(knot.Folder, "knot.conf")], BenchZone.Addresses(0), TimeSpan.FromMinutes(2));
            return knot;
        }
        catch
        {
            knot.Dispose();
            throw;
        }
    }
}
