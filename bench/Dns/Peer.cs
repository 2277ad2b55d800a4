using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Declarative.Dns.Wire;

namespace Declarative.Bench.Dns;

/// <summary>Another server with the same zone, as a process of its own.</summary>
internal abstract class Peer(string name) : IDisposable
{
    private Process? _process;

    public string Name => name;

    public IPEndPoint Address { get; } = FreeAddress();

    /// <summary>CPU time used so far.</summary>
    public TimeSpan Cpu
    {
        get
        {
            _process!.Refresh();
            return _process.TotalProcessorTime;
        }
    }

    /// <summary>What it needs on disk.</summary>
    protected string Folder { get; } = Directory.CreateTempSubdirectory("bench-dns-").FullName;

    public virtual void Dispose()
    {
        if (_process is { HasExited: false })
            _process.Kill(entireProcessTree: true);
        _process?.WaitForExit();
        _process?.Dispose();
        Directory.Delete(Folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Starts the process and waits until it answers: a large zone takes a while to load.</summary>
    /// <param name="program">Path.</param>
    /// <param name="arguments">As they are.</param>
    /// <param name="question">A name that has addresses.</param>
    /// <param name="patience">How long to wait.</param>
    /// <exception cref="InvalidOperationException">It does not come to answer.</exception>
    protected void Start(string program, IEnumerable<string> arguments, string question, TimeSpan patience)
    {
        var log = Path.Combine(Folder, "log");
        _process = Process.Start(new ProcessStartInfo("/bin/sh", ["-c", "log=$1; shift; exec \"$@\" >\"$log\" 2>&1", "sh", log, program, .. arguments]) { UseShellExecute = false })!;
        var query = new byte[300];
        var length = Query.Write(query, 1, DnsName.Parse(question).Wire, RecordType.A);
        var answer = new byte[4096];
        var start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < patience && !_process.HasExited)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 500 };
            socket.Connect(Address);
            try
            {
                socket.Send(query.AsSpan(0, length));
                if (Message.Read(answer.AsSpan(0, socket.Receive(answer))) is { Answers.Count: > 0 })
                    return;
            }
            catch (SocketException)
            {
                // Not up yet.
            }
            Thread.Sleep(200);
        }
        var said = string.Join('\n', File.ReadLines(log).TakeLast(5));
        throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{name} does not answer for {question} within {patience.TotalSeconds:0} s; it said: {said}"));
    }

    private static IPEndPoint FreeAddress()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return (IPEndPoint)socket.LocalEndPoint!;
    }
}
