namespace Declarative.Mesos.Mini.Runners;

/// <summary>What a container may use; null is no limit.</summary>
/// <param name="CpuShare">Its weight against the others when the machine is busy, in CPUs.</param>
/// <param name="CpuMax">In CPUs, even when the machine is idle.</param>
/// <param name="MemoryBytesMax">The kernel kills a process of the container beyond this.</param>
internal sealed record ProcessLimits(double? CpuShare = null, double? CpuMax = null, long? MemoryBytesMax = null);
