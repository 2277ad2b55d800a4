using System.Globalization;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>Scalars as Mesos counts them: thousandths of a cpu, of a MiB of memory, of a MiB of disk, of a gpu.</summary>
internal readonly record struct Amounts(long Cpus, long Mem, long Disk, long Gpus = 0)
{
    public static Amounts operator +(Amounts a, Amounts b) => new(a.Cpus + b.Cpus, a.Mem + b.Mem, a.Disk + b.Disk, a.Gpus + b.Gpus);

    public static Amounts operator -(Amounts a, Amounts b) => new(a.Cpus - b.Cpus, a.Mem - b.Mem, a.Disk - b.Disk, a.Gpus - b.Gpus);

    public Amounts AtLeastZero() => new(Math.Max(0, Cpus), Math.Max(0, Mem), Math.Max(0, Disk), Math.Max(0, Gpus));

    public Amounts AtMost(Amounts other) => new(Math.Min(Cpus, other.Cpus), Math.Min(Mem, other.Mem), Math.Min(Disk, other.Disk), Math.Min(Gpus, other.Gpus));

    public bool Covers(Amounts need) => Cpus >= need.Cpus && Mem >= need.Mem && Disk >= need.Disk && Gpus >= need.Gpus;

    /// <summary>Bytes in thousandths of a MiB, rounded up.</summary>
    public static long MiB(long bytes) => (long)(((Int128)bytes * 1000 + (1 << 20) - 1) >> 20);

    /// <summary>Thousandths as people write them: 0.7, 1.5, 64.</summary>
    public static string Text(long thousandths) => (thousandths / 1000m).ToString("0.###", CultureInfo.InvariantCulture);
}
