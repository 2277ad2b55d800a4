using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Declarative.Dns.Wire;

namespace Declarative.Bench.Dns;

/// <summary>Knot DNS (Debian package knot) with the same zone, on as many threads: the peer that the server is measured against.</summary>
internal sealed class Knot : IDisposable
{
    private readonly Process _process;
    private readonly string _folder;

    private Knot(Process process, string folder, IPEndPoint address) => (_process, _folder, Address) = (process, folder, address);

    public IPEndPoint Address { get; }

    public TimeSpan Cpu
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>Null where knotd is not installed.</summary>
    public static Knot? Start(string apex, IEnumerable<string> zone, int threads)
    {
        var program = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Append("/usr/sbin").Select(p => Path.Combine(p, "knotd")).FirstOrDefault(File.Exists);
        if (program is null)
            return null;
        var folder = Directory.CreateTempSubdirectory("bench-knot-").FullName;
        var address = FreeAddress();
        File.WriteAllLines(Path.Combine(folder, "zone"), zone);
        File.WriteAllText(Path.Combine(folder, "knot.conf"), $"""
            server:
                rundir: {folder}
                listen: {address.Address}@{address.Port}
                udp-workers: {threads}
                tcp-workers: 1
                background-workers: 1
            database:
                storage: {folder}
            log:
              - target: stderr
                any: warning
            zone:
              - domain: {apex}
                storage: {folder}
                file: zone
                zonefile-sync: -1
                semantic-checks: off
            """);
        var process = Process.Start(new ProcessStartInfo(program, ["-c", Path.Combine(folder, "knot.conf")]) { UseShellExecute = false })!;
        var knot = new Knot(process, folder, address);
        knot.AwaitZone(DnsName.Parse(apex));
        return knot;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A large zone takes seconds to load.</summary>
    private void AwaitZone(DnsName apex)
    {
        var query = new byte[300];
        var length = Query.Write(query, 1, apex.Wire, RecordType.Soa);
        var answer = new byte[512];
        for (var attempt = 0; attempt < 600 && !_process.HasExited; attempt++)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 500 };
            socket.Connect(Address);
            try
            {
                socket.Send(query.AsSpan(0, length));
                if (Message.Read(answer.AsSpan(0, socket.Receive(answer))) is { Answers.Count: 1 })
                    return;
            }
            catch (SocketException)
            {
                // Not up yet.
            }
            Thread.Sleep(200);
        }
        throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"knotd does not serve the zone; see {_folder}"));
    }

    private static IPEndPoint FreeAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
