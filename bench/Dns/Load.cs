using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Declarative.Dns.Wire;

namespace Declarative.Bench.Dns;

/// <summary>Client threads, each with a window of queries on the way; what a server answers is checked for its id and code only.</summary>
internal static class Load
{
    private const int Window = 64;
    private const int Questions = 4096;

    internal sealed record Result(double PerSecond, double P50, double P99, double CpuPerQuery, long Lost)
    {
        public string Line(string label, string server) =>
            string.Create(CultureInfo.InvariantCulture, $"  {label,-13}{server,-12}{PerSecond,12:F0}{CpuPerQuery,22:F2}{Lost,8}")
            + (double.IsNaN(P50) ? "" : string.Create(CultureInfo.InvariantCulture, $"{P50,9:F0}{P99,9:F0}"));
    }

    public static Result Run(IPEndPoint server, RecordType type, Func<int, string> name, TimeSpan length, int clients, int perSecond = 0, CancellationToken stop = default)
    {
        var queries = new byte[Questions][];
        for (var i = 0; i < Questions; i++)
        {
            var query = new byte[300];
            queries[i] = query[..Query.Write(query, 0, DnsName.Parse(name(i * 7919)).Wire, type, 1232)];
        }
        var cpu = Process.GetCurrentProcess().TotalProcessorTime;
        var start = Stopwatch.GetTimestamp();
        var end = start + (long)(length.TotalSeconds * Stopwatch.Frequency);
        var workers = Enumerable.Range(0, clients).Select(i => new Worker(server, queries, i * 97, end, perSecond / clients, stop)).ToArray();
        foreach (var worker in workers)
            worker.Thread.Join();
        var elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        var used = (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds - workers.Sum(w => w.Cpu);
        var latencies = workers.SelectMany(w => w.Latencies).Order().ToArray();
        var answered = workers.Sum(w => w.Answered);
        return new Result(answered / elapsed, At(latencies, 0.50), At(latencies, 0.99), used * 1e6 / answered, workers.Sum(w => w.Lost));
    }

    private static double At(long[] sorted, double quantile) =>
        sorted.Length == 0 ? 0 : sorted[(int)((sorted.Length - 1) * quantile)] * 1e6 / Stopwatch.Frequency;

    private sealed class Worker
    {
        private readonly IPEndPoint _server;
        private readonly byte[][] _queries;
        private readonly long _end;
        private readonly long[] _sentAt = new long[Window];
        private readonly int _perSecond;
        private readonly CancellationToken _stop;
        private int _next;

        public Worker(IPEndPoint server, byte[][] queries, int first, long end, int perSecond, CancellationToken stop)
        {
            _server = server;
            _queries = queries.Select(q => q.ToArray()).ToArray();
            _end = end;
            _perSecond = perSecond;
            _stop = stop;
            _next = first;
            Thread = new Thread(Work);
            Thread.Start();
        }

        public Thread Thread { get; }
        public List<long> Latencies { get; } = [];
        public long Answered { get; private set; }
        public long Lost { get; private set; }
        public double Cpu { get; private set; }

        private void Work()
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp) { ReceiveTimeout = 200, ReceiveBufferSize = 1 << 20 };
            socket.Connect(_server);
            var response = new byte[4096];
            for (ushort id = 0; id < Window; id++)
                Send(socket, id);
            var start = Stopwatch.GetTimestamp();
            while (Stopwatch.GetTimestamp() < _end && !_stop.IsCancellationRequested)
            {
                int length;
                try
                {
                    length = socket.Receive(response);
                }
                catch (SocketException)
                {
                    // Lost on the way: a window of new queries.
                    Lost += Window;
                    for (ushort id = 0; id < Window; id++)
                        Send(socket, id);
                    continue;
                }
                var answered = BinaryPrimitives.ReadUInt16BigEndian(response);
                if (length < Header.Size || answered >= Window || (response[3] & 0xF) is not (0 or 3))
                    throw new InvalidOperationException("an answer that no query asked for");
                if (Answered++ % 16 == 0)
                    Latencies.Add(Stopwatch.GetTimestamp() - _sentAt[answered]);
                while (_perSecond > 0 && Answered > Stopwatch.GetElapsedTime(start).TotalSeconds * _perSecond)
                    Thread.Sleep(1);
                Send(socket, answered);
            }
            Cpu = ThreadSeconds();
        }

        private void Send(Socket socket, ushort id)
        {
            var query = _queries[_next++ % Questions];
            BinaryPrimitives.WriteUInt16BigEndian(query, id);
            _sentAt[id] = Stopwatch.GetTimestamp();
            socket.Send(query);
        }
    }

    /// <summary>CPU time of the calling thread, to be taken off the process' so that the server's is left; 0 where it is not known.</summary>
    private static double ThreadSeconds() =>
        OperatingSystem.IsLinux() && clock_gettime(3, out var time) == 0 ? time.Seconds + time.Nanoseconds / 1e9 : 0;

    [DllImport("libc")]
    private static extern int clock_gettime(int clock, out TimeSpec time);

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
