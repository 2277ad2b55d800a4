namespace Declarative.Mesos.Mini.Link;

/// <summary>An agent's connection to its master. Messages keep their order; a message sent on a cut connection is lost silently.</summary>
public interface IAgentConnection : IDisposable
{
    void Send(ToMaster message);

    /// <summary>The next message of the master, or null when the connection has ended (then connect again and reregister).</summary>
    ValueTask<ToAgent?> Receive(CancellationToken stop);
}
