using System.Runtime.InteropServices;
using System.Text;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>
/// Starts one program in a session of its own with default signal handling, exactly this environment and these files. posix_spawn
/// instead of <c>Process.Start</c>: the latter leaves SIGPIPE ignored and the child in our session.
/// </summary>
/// <param name="Path">The file to execute; not searched for.</param>
/// <param name="Arguments">With argv[0].</param>
/// <param name="Environment"><c>NAME=value</c>, nothing is added.</param>
/// <param name="Files">What the child has open: descriptor number, path, open(2) flags. Everything else is closed.</param>
internal sealed record Spawn(
    string Path,
    IReadOnlyList<string> Arguments,
    IReadOnlyList<string> Environment,
    string WorkingDirectory,
    IReadOnlyList<(int Descriptor, string Path, int Flags)> Files
)
{
    /// <summary>Descriptors that the child takes over from us, after its files are opened: its number, ours.</summary>
    public IReadOnlyList<(int Descriptor, int From)> Descriptors { get; init; } = [];

    private const uint FileMode = 0x1A4; // rw-r--r--

    /// <returns>The pid, or the text of the error.</returns>
    public (int Pid, string? Error) Start()
    {
        using var block = new NativeBlock();
        var attributes = block.Zeroed(Posix.SpawnAttributesBytes);
        var actions = block.Zeroed(Posix.SpawnFileActionsBytes);
        var signals = block.Zeroed(Posix.SignalSetBytes);
        Posix.SpawnAttributesInit(attributes);
        Posix.FileActionsInit(actions);
        try
        {
            Posix.SpawnAttributesSetFlags(
                attributes,
                Posix.SpawnSetSignalDefault | Posix.SpawnSetSignalMask | Posix.SpawnSetSession
            );
            Posix.SignalSetFill(signals);
            Posix.SpawnAttributesSetSignalDefault(attributes, signals);
            Posix.SignalSetEmpty(signals);
            Posix.SpawnAttributesSetSignalMask(attributes, signals);
            foreach (var (descriptor, path, flags) in Files)
                Posix.FileActionsAddOpen(actions, descriptor, path, flags, FileMode);
            foreach (var (descriptor, from) in Descriptors)
                Posix.FileActionsAddDuplicate(actions, from, descriptor);
            Posix.FileActionsAddChangeDirectory(actions, WorkingDirectory);
            var error = Posix.Spawn(out var pid, Path, actions, attributes, block.Strings(Arguments), block.Strings(Environment));
            return error == 0 ? (pid, null) : (0, Posix.Describe(error));
        }
        finally
        {
            Posix.FileActionsDestroy(actions);
            Posix.SpawnAttributesDestroy(attributes);
        }
    }

    /// <summary>Memory outside the collector's reach that is freed together.</summary>
    private sealed class NativeBlock : IDisposable
    {
        private readonly List<nint> pointers = [];

        public nint Zeroed(int bytes)
        {
            var pointer = Marshal.AllocHGlobal(bytes);
            pointers.Add(pointer);
            Marshal.Copy(new byte[bytes], 0, pointer, bytes);
            return pointer;
        }

        public nint[] Strings(IReadOnlyList<string> texts)
        {
            var result = new nint[texts.Count + 1];
            for (var i = 0; i < texts.Count; i++)
            {
                var bytes = Encoding.UTF8.GetBytes(texts[i] + '\0');
                result[i] = Marshal.AllocHGlobal(bytes.Length);
                pointers.Add(result[i]);
                Marshal.Copy(bytes, 0, result[i], bytes.Length);
            }

            return result;
        }

        public void Dispose()
        {
            foreach (var pointer in pointers)
                Marshal.FreeHGlobal(pointer);
        }
    }
}
