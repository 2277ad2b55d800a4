using System.Runtime.CompilerServices;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.AgentClient;

/// <summary>Reads the two output files of one task, from the start or the last lines, to the end or on and on.</summary>
internal sealed class LogReader(AgentClient client, TimeProvider time, string taskId, TaskSandbox sandbox, LogStreams streams)
{
    // What agents give at once.
    private const int BlockBytes = 64 * 1024;
    private const byte LineEnd = (byte)'\n';
    private static readonly TimeSpan StateInterval = TimeSpan.FromSeconds(1);

    public async IAsyncEnumerable<ReadOnlyMemory<byte>> Read(int? tailLines, bool follow, Action? begun, [EnumeratorCancellation] CancellationToken stop)
    {
        var files = await Open(tailLines, stop);
        begun?.Invoke();
        foreach (var file in files)
        {
            while (await file.Next(stop) is { Length: > 0 } data)
                yield return data;
        }

        if (!follow)
            yield break;
        var pace = new PollPace(time);
        var ended = sandbox.State.IsTerminal();
        var looked = time.GetTimestamp();
        while (true)
        {
            var grew = false;
            foreach (var file in files)
            {
                while (await file.Next(stop) is { Length: > 0 } data)
                {
                    grew = true;
                    var ready = files.Count == 1 ? data : file.WholeLines(data);
                    if (ready.Length > 0)
                        yield return ready;
                }
            }

            // One more look after the task was seen to have ended: its last words may have been written in between.
            if (ended && !grew)
                break;
            if (!grew && time.GetElapsedTime(looked) >= StateInterval)
            {
                ended = await client.FindSandbox(taskId, stop) is not { } now || now.State.IsTerminal();
                looked = time.GetTimestamp();
            }

            if (!ended)
                await pace.Wait(grew, stop);
        }

        foreach (var file in files)
        {
            if (file.Rest is { Length: > 0 } rest)
                yield return rest;
        }
    }

    private async Task<List<OpenFile>> Open(int? tailLines, CancellationToken stop)
    {
        List<OpenFile> files = [];
        if (streams.HasFlag(LogStreams.Stdout))
            files.Add(new OpenFile(client, sandbox.Path + "/stdout"));
        if (streams.HasFlag(LogStreams.Stderr))
            files.Add(new OpenFile(client, sandbox.Path + "/stderr"));
        if (tailLines is not { } lines)
            return files;
        var written = files.Count > 1 ? await client.ListFiles(sandbox.Path, stop) : [];
        var left = lines;
        foreach (var file in files.OrderByDescending(file => written.FirstOrDefault(info => info.Path == file.Path)?.Mtime?.Nanoseconds ?? 0))
            left -= await file.SeekTail(left, stop);
        return files;
    }

    private sealed class OpenFile(AgentClient client, string path)
    {
        private long offset;
        private byte[] unfinished = [];

        public string Path => path;

        /// <summary>What came after the last line end.</summary>
        public ReadOnlyMemory<byte> Rest => unfinished;

        /// <summary>The next bytes; empty at the end.</summary>
        public async Task<ReadOnlyMemory<byte>> Next(CancellationToken stop)
        {
            var (data, size) = await client.ReadFile(path, offset, null, stop);
            // A file that became shorter was begun anew.
            if (size < offset)
            {
                offset = 0;
                return default;
            }

            offset += data.Length;
            return data.Memory;
        }

        /// <summary>Keeps an unfinished line back until its end has come, so that lines of two files do not mix.</summary>
        public ReadOnlyMemory<byte> WholeLines(ReadOnlyMemory<byte> data)
        {
            byte[] all = [.. unfinished, .. data.Span];
            var end = all.AsSpan().LastIndexOf(LineEnd) + 1;
            if (all.Length - end > BlockBytes)
                end = all.Length;
            unfinished = all[end..];
            return all.AsMemory(0, end);
        }

        /// <summary>Goes to the start of the last lines. Returns how many there are, at most <paramref name="lines"/>.</summary>
        public async Task<int> SeekTail(int lines, CancellationToken stop)
        {
            var (_, size) = await client.ReadFile(path, AgentClient.BeyondTheEnd, null, stop);
            offset = size;
            if (lines <= 0)
                return 0;
            var found = 0;
            var end = size;
            while (end > 0)
            {
                var start = Math.Max(0, end - BlockBytes);
                var (block, _) = await client.ReadFile(path, start, end - start, stop);
                for (var i = block.Length - 1; i >= 0; i--)
                {
                    // The line end at the very end closes the last line; every other one opens the line behind it.
                    if (block[i] != LineEnd || start + i == size - 1)
                        continue;
                    offset = start + i + 1;
                    if (++found == lines)
                        return found;
                }

                end = start;
            }

            offset = 0;
            return size > 0 ? found + 1 : 0;
        }
    }
}
