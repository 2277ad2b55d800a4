using System.Threading.Channels;
using Declarative.Mesos.Mini.Link;

namespace Declarative.Mesos.Mini.Master;

/// <summary>An agent in the same process as its master. The agent holds this end; the master delivers into it.</summary>
internal sealed class AgentConnection(MiniMaster master) : IAgentConnection
{
    private readonly Channel<ToAgent> _inbox = Channel.CreateUnbounded<ToAgent>(new() { SingleReader = true });

    /// <summary>Set by the master when the agent has registered on this connection.</summary>
    public Agent? Agent { get; set; }

    public void Deliver(ToAgent message) => _inbox.Writer.TryWrite(message);

    public void Close() => _inbox.Writer.TryComplete();

    public void Send(ToMaster message) => master.Receive(this, message);

    public async ValueTask<ToAgent?> Receive(CancellationToken stop)
    {
        while (true)
        {
            if (_inbox.Reader.TryRead(out var message))
                return message;
            if (!await _inbox.Reader.WaitToReadAsync(stop))
                return null;
        }
    }

    public void Dispose()
    {
        Close();
        master.Disconnected(this);
    }
}
