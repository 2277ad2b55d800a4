using System.Runtime.InteropServices;

namespace Declarative.ApiServer.Storage;

/// <summary>
/// Room for the bytes of objects that a start loads. Beyond the first few megabytes many objects share one large array: memory that is touched for the first
/// time costs a fault for each of its pages, which for a large store is half of its loading, and in a large array these can be of 2 MiB
/// (madvise(2), MADV_HUGEPAGE). An array is given back when every object in it has been changed since, so what was loaded may lie there once more.
/// </summary>
internal sealed class Slabs
{
    public const int SlabBytes = 8 * 1024 * 1024;

    /// <summary>A small store is not worth a slab.</summary>
    private const int SingleBytesMax = 4 * 1024 * 1024;
    private const int HugePageBytes = 2 * 1024 * 1024;
    private const int AdviseHugePages = 14;
    private Memory<byte> _room;
    private long _single;

    /// <summary>Not zeroed.</summary>
    public Memory<byte> Take(int length)
    {
        if (_single < SingleBytesMax || length > SlabBytes)
        {
            _single += length;
            return GC.AllocateUninitializedArray<byte>(length);
        }
        if (length > _room.Length) _room = Slab();
        var taken = _room[..length];
        _room = _room[length..];
        return taken;
    }

    private static byte[] Slab()
    {
        var slab = GC.AllocateUninitializedArray<byte>(SlabBytes, pinned: true);
        if (!OperatingSystem.IsLinux()) return slab;
        // Whole pages, with what lies beside the array in its first and last one.
        var first = Marshal.UnsafeAddrOfPinnedArrayElement(slab, 0) & ~(nint)(HugePageBytes - 1);
        var end = (Marshal.UnsafeAddrOfPinnedArrayElement(slab, SlabBytes - 1) | (HugePageBytes - 1)) + 1;
        // Advice: a kernel that can not take it goes on with small pages.
        _ = Advise(first, (nuint)(end - first), AdviseHugePages);
        return slab;
    }

    [DllImport("libc", EntryPoint = "madvise")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Advise(nint address, nuint length, int advice);
}
