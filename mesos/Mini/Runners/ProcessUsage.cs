namespace Declarative.Mesos.Mini.Runners;

/// <summary>What the processes of one container use. CPU in seconds since the start, memory in bytes.</summary>
internal readonly record struct ProcessUsage(double CpuUser, double CpuSystem, long MemoryBytes, long? MemoryBytesMax);
