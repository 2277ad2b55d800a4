namespace Declarative.Mesos.Scheduler;

/// <summary>There is no connection to a leading master. Retryable: subscribe again, then repeat what must be repeated.</summary>
public sealed class MasterUnavailable : Exception
{
    public MasterUnavailable(string message)
        : base(message) { }

    public MasterUnavailable(string message, Exception inner)
        : base(message, inner) { }
}
