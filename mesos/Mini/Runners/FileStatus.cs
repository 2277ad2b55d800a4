using System.Buffers.Binary;
using System.Globalization;

namespace Declarative.Mesos.Mini.Runners;

/// <summary>What stat(2) says of a file, which .NET does not tell in full.</summary>
internal readonly record struct FileStatus(uint Links, uint User, uint Group, uint Mode, long Bytes, DateTimeOffset Modified)
{
    private const uint TypeMask = 0xF000;
    private const string Permissions = "rwxrwxrwx";

    public bool IsRegular => (Mode & TypeMask) == 0x8000;
    public bool IsDirectory => (Mode & TypeMask) == 0x4000;

    /// <summary>As ls prints it: <c>-rw-r--r--</c>.</summary>
    public string ModeText
    {
        get
        {
            var mode = Mode;
            return string.Create(
                10,
                (mode, IsDirectory),
                static (text, state) =>
                {
                    text[0] = state.IsDirectory ? 'd' : '-';
                    for (var i = 0; i < 9; i++)
                        text[i + 1] = (state.mode & (0x100 >> i)) != 0 ? Permissions[i] : '-';
                }
            );
        }
    }

    public string UserName => Name("/etc/passwd", User);
    public string GroupName => Name("/etc/group", Group);

    /// <summary>Null when there is no such file. Links are followed.</summary>
    public static FileStatus? Of(string path)
    {
        var result = new byte[Posix.StatXBytes];
        if (Posix.StatX(Posix.WorkingDirectory, path, 0, Posix.StatXBasic, result) != 0)
            return null;
        return new(
            BinaryPrimitives.ReadUInt32LittleEndian(result.AsSpan(16)),
            BinaryPrimitives.ReadUInt32LittleEndian(result.AsSpan(20)),
            BinaryPrimitives.ReadUInt32LittleEndian(result.AsSpan(24)),
            BinaryPrimitives.ReadUInt16LittleEndian(result.AsSpan(28)),
            BinaryPrimitives.ReadInt64LittleEndian(result.AsSpan(40)),
            DateTimeOffset.FromUnixTimeSeconds(BinaryPrimitives.ReadInt64LittleEndian(result.AsSpan(112)))
        );
    }

    // NAME:PASSWORD:ID:…
    private static string Name(string file, uint id)
    {
        var number = id.ToString(CultureInfo.InvariantCulture);
        if (!File.Exists(file))
            return number;
        return File.ReadLines(file).Select(line => line.Split(':')).FirstOrDefault(parts => parts.Length > 2 && parts[2] == number)?[0] ?? number;
    }
}
