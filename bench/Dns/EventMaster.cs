using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.MasterApi;
using Google.Protobuf;
using EventType = Declarative.Mesos.Protocol.MasterApi.Event.Types.Type;
using Task = System.Threading.Tasks.Task;
using TaskStatus = Declarative.Mesos.Protocol.TaskStatus;

namespace Declarative.Bench.Dns;

/// <summary>A master with one framework and one task, which tells the task's status updates by its event stream.</summary>
internal sealed class EventMaster : IDisposable
{
    private const string Id = "20240101-000000-1-5050-1";
    private readonly HttpListener _listener = new();
    private readonly Channel<Event> _events = Channel.CreateUnbounded<Event>();
    private readonly Task _serving;
    private double _clock = 1;

    public EventMaster()
    {
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Address = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
        }
        _listener.Prefixes.Add(Address + "/");
        _listener.Start();
        _serving = Serve();
    }

    public string Address { get; }

    /// <summary>The task's health check has changed its mind.</summary>
    public void Tell(bool healthy) =>
        _events.Writer.TryWrite(new Event
        {
            Type = EventType.TaskUpdated,
            TaskUpdated = new() { FrameworkId = new() { Value = "f" }, Status = Status(healthy), State = TaskState.TaskRunning },
        });

    public void Dispose()
    {
        _events.Writer.Complete();
        _listener.Close();
        _serving.Wait(TimeSpan.FromSeconds(10));
    }

    private TaskStatus Status(bool healthy) =>
        new() { TaskId = new() { Value = "web.1" }, AgentId = new() { Value = Id + "-S0" }, State = TaskState.TaskRunning, Healthy = healthy, Timestamp = _clock++ };

    private async Task Serve()
    {
        var open = new List<Task>();
        while (_listener.IsListening)
        {
            try
            {
                open.Add(Answer(await _listener.GetContextAsync()));
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                break; // closed
            }
        }
        await Task.WhenAll(open);
    }

    private async Task Answer(HttpListenerContext context)
    {
        using var response = context.Response;
        response.StatusCode = context.Request.Url!.AbsolutePath == "/api/v1" ? 200 : 404;
        response.ContentType = "application/x-protobuf";
        if (response.StatusCode == 404)
            return;
        using var body = new MemoryStream();
        await context.Request.InputStream.CopyToAsync(body);
        if (Call.Parser.ParseFrom(body.ToArray()).Type != Call.Types.Type.Subscribe)
        {
            var port = context.Request.Url.Port;
            await response.OutputStream.WriteAsync(new Response { Type = Response.Types.Type.GetMaster, GetMaster = new() { MasterInfo = new() { Id = Id, Ip = 0x0100007F, Port = (uint)port, Pid = $"master@127.0.0.1:{port}" } } }.ToByteArray());
            return;
        }
        response.SendChunked = true;
        await Write(response, new Event { Type = EventType.Subscribed, Subscribed = new() { HeartbeatIntervalSeconds = 3600, GetState = State() } });
        await foreach (var change in _events.Reader.ReadAllAsync())
            await Write(response, change);
    }

    private static async Task Write(HttpListenerResponse response, Event change)
    {
        var bytes = change.ToByteArray();
        await response.OutputStream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes($"{bytes.Length}\n"), .. bytes]);
        await response.OutputStream.FlushAsync();
    }

    private Response.Types.GetState State()
    {
        var agent = new AgentInfo { Id = new() { Value = Id + "-S0" }, Hostname = "127.0.0.1", Port = 5051 };
        var task = new Declarative.Mesos.Protocol.Task { Name = "web", TaskId = new() { Value = "web.1" }, FrameworkId = new() { Value = "f" }, AgentId = agent.Id, State = TaskState.TaskRunning };
        task.Statuses.Add(Status(healthy: false));
        var state = new Response.Types.GetState { GetFrameworks = new(), GetAgents = new(), GetTasks = new() };
        state.GetFrameworks.Frameworks.Add(new Response.Types.GetFrameworks.Types.Framework { FrameworkInfo = new() { Id = new() { Value = "f" }, Name = "marathon", User = "", Hostname = "127.0.0.1" }, Active = true, Connected = true });
        state.GetAgents.Agents.Add(new Response.Types.GetAgents.Types.Agent { AgentInfo = agent, Active = true, Version = "1.11.0", Pid = "slave(1)@127.0.0.1:5051" });
        state.GetTasks.Tasks.Add(task);
        return state;
    }
}
