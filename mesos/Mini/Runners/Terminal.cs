using System.Runtime.InteropServices;
using System.Text;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>A pseudo-terminal (pty(7)): the side that we hold, and the path of the side that the process opens.</summary>
internal sealed record Terminal(int Descriptor, string Path)
{
    /// <summary>Throws <see cref="IOException"/> where the system has none left.</summary>
    public static Terminal Open()
    {
        var descriptor = Posix.OpenTerminal(Posix.OpenReadWrite | Posix.OpenNoTerminal | Posix.CloseOnExec);
        if (descriptor < 0)
            throw new IOException($"no terminal: {Posix.Describe(Marshal.GetLastPInvokeError())}");
        var name = new byte[Posix.TerminalNameBytesMax];
        if (Posix.GrantTerminal(descriptor) == 0 && Posix.UnlockTerminal(descriptor) == 0 && Posix.TerminalName(descriptor, name, name.Length) == 0)
            return new(descriptor, Encoding.UTF8.GetString(name.AsSpan(0, name.AsSpan().IndexOf((byte)0))));
        var why = Posix.Describe(Marshal.GetLastPInvokeError());
        _ = Posix.Close(descriptor);
        throw new IOException($"no terminal: {why}");
    }

    /// <summary>The process gets SIGWINCH.</summary>
    public void Resize(int columns, int rows)
    {
        var size = new Posix.WindowSize { Columns = (ushort)columns, Rows = (ushort)rows };
        _ = Posix.Control(Descriptor, Posix.SetWindowSize, in size);
    }
}
