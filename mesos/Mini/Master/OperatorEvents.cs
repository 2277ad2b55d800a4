using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using EventType = Declarative.Mesos.Protocol.MasterApi.Event.Types.Type;

namespace Declarative.Mesos.Mini.Master;

/// <summary>Those who subscribed to the operator API, and what they are told.</summary>
internal sealed class OperatorEvents
{
    private readonly List<EventStream<Event>> _streams = [];

    public int Count => _streams.Count;

    public void Add(EventStream<Event> stream) => _streams.Add(stream);

    public void Remove(EventStream<Event> stream) => _streams.Remove(stream);

    public void CloseAll()
    {
        foreach (var stream in _streams)
            stream.Close();
        _streams.Clear();
    }

    public void Heartbeat() => Send(new Event { Type = EventType.Heartbeat });

    public void TaskAdded(Launched task)
    {
        if (_streams.Count > 0)
            Send(new Event { Type = EventType.TaskAdded, TaskAdded = new() { Task = task.Record.Clone() } });
    }

    public void TaskUpdated(Launched task, TaskStatus status, TaskState latest)
    {
        if (_streams.Count == 0)
            return;
        var update = new Event.Types.TaskUpdated
        {
            FrameworkId = task.Record.FrameworkId,
            Status = status,
            State = latest,
        };
        Send(new Event { Type = EventType.TaskUpdated, TaskUpdated = update });
    }

    public void FrameworkAdded(Framework framework)
    {
        if (_streams.Count > 0)
            Send(new Event { Type = EventType.FrameworkAdded, FrameworkAdded = new() { Framework = Told(framework) } });
    }

    public void FrameworkUpdated(Framework framework)
    {
        if (_streams.Count > 0)
            Send(new Event { Type = EventType.FrameworkUpdated, FrameworkUpdated = new() { Framework = Told(framework) } });
    }

    public void FrameworkRemoved(Framework framework)
    {
        if (_streams.Count > 0)
            Send(new Event { Type = EventType.FrameworkRemoved, FrameworkRemoved = new() { FrameworkInfo = framework.Record } });
    }

    public void AgentAdded(Agent agent)
    {
        if (_streams.Count > 0)
            Send(new Event { Type = EventType.AgentAdded, AgentAdded = new() { Agent = OperatorViews.Of(agent) } });
    }

    public void AgentRemoved(string agent)
    {
        if (_streams.Count > 0)
            Send(new Event { Type = EventType.AgentRemoved, AgentRemoved = new() { AgentId = new() { Value = agent } } });
    }

    // As real masters tell it: with a time of 0 while it has not gone.
    private static Response.Types.GetFrameworks.Types.Framework Told(Framework framework)
    {
        var told = OperatorViews.Of(framework);
        told.UnregisteredTime ??= new() { Nanoseconds = 0 };
        return told;
    }

    private void Send(Event message)
    {
        foreach (var stream in _streams)
            stream.Send(message);
    }
}
