using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Scheduler;
using Declarative.Mesos.Scheduler.Http;
using Xunit;
using MasterApi = Declarative.Mesos.Protocol.MasterApi;
using EventType = Declarative.Mesos.Protocol.MasterApi.Event.Types.Type;

namespace Declarative.Tests.Mesos;

/// <summary>What others read from a master: the operator API, its event stream and the older endpoints.</summary>
public sealed class OperatorTests : IAsyncLifetime
{
    private readonly MasterWorld world = new();
    private readonly HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false });
    private MasterServer server = null!;
    private TestFramework framework = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        server = await MasterServer.Start(new IPEndPoint(IPAddress.Loopback, 0), _ => world.Master, CancellationToken.None);
        http.BaseAddress = new Uri($"http://127.0.0.1:{server.Port}");
        framework = world.Framework();
        await framework.Subscribe();
        var offer = await framework.Offer();
        var done = TestFramework.TaskOf("done", offer);
        done.Labels = new() { Labels_ = { new Label { Key = "a", Value = "b" } } };
        await framework.Accept([offer], 0, TestFramework.TaskOf("one", offer), done);
        await framework.Update("one", TaskState.TaskRunning);
        await framework.Update("done", TaskState.TaskRunning);
        await framework.Offer(count: 2);
    }

    public async ValueTask DisposeAsync()
    {
        await framework.DisposeAsync();
        await world.DisposeAsync();
        await server.DisposeAsync();
        http.Dispose();
    }

    [Theory]
    [InlineData("GET_HEALTH")]
    [InlineData("GET_AGENTS")]
    [InlineData("GET_TASKS")]
    [InlineData("GET_FRAMEWORKS")]
    [InlineData("GET_MASTER")]
    [InlineData("GET_ROLES")]
    [InlineData("GET_FLAGS")]
    public async Task Answers_have_only_recorded_fields(string type)
    {
        var recorded = Recorded
            .Lines("operator.jsonl")
            .Select(line => JsonNode.Parse(line)!)
            .Where(line => (string)line["type"]! == type)
            .SelectMany(line => Recorded.Shape(line).Split('\n'))
            .ToHashSet();
        var ours = JsonNode.Parse(await Post($$"""{"type":"{{type}}"}"""));
        // No process, no attributes: what is there must be there in the same place and kind.
        Assert.Empty(Recorded.Shape(ours).Split('\n').Where(path => path.Length > 0 && !recorded.Contains(path)).Except(Unrecorded));
    }

    [Fact]
    public async Task Weights_are_set_asked_for_and_refused_as_recorded()
    {
        Assert.Equal("""{"type":"GET_WEIGHTS"}""", await Post("""{"type":"GET_WEIGHTS"}"""));
        var offers = framework.Offers.Count();
        Assert.Equal("", await Post("""{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"test","weight":2.0}]}}"""));
        Assert.Equal("""{"type":"GET_WEIGHTS","get_weights":{"weight_infos":[{"weight":2.0,"role":"test"}]}}""", await Post("""{"type":"GET_WEIGHTS"}"""));
        Assert.Contains("\"weight\":2.0", await Post("""{"type":"GET_ROLES"}"""), StringComparison.Ordinal);
        // What the role was offered is withdrawn and offered anew.
        await world.Until(() => framework.Events.Any(x => x.Type == Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type.Rescind), "RESCIND");
        await framework.Offer(count: offers + 1);
        foreach (var wrong in (string[])["""{"role":"test","weight":0.0}""", """{"role":"/x","weight":1.0}"""])
        {
            using var refused = await http.PostAsync("/api/v1", Body($$$"""{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{{{wrong}}}]} }"""), Stop);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        }
    }

    // True of any master, but the recorded one had no such thing when it was asked.
    private static readonly string[] Unrecorded =
    [
        ".get_tasks.tasks[].labels.labels[].key: String",
        ".get_tasks.tasks[].labels.labels[].value: String",
    ];

    [Fact]
    public async Task State_tells_tasks_agents_and_frameworks()
    {
        foreach (var path in (string[])["/state", "/master/state", "/state/"])
        {
            var state = JsonNode.Parse(await http.GetStringAsync(path, Stop))!;
            Assert.Equal("1.11.0", (string)state["version"]!);
            var agent = Assert.Single(state["slaves"]!.AsArray())!;
            Assert.Equal("[31000-32000]", (string)agent["resources"]!["ports"]!);
            Assert.Equal(0.2, (double)agent["used_resources"]!["cpus"]!);
            var task = Assert.Single(state["frameworks"]!.AsArray())!["tasks"]!.AsArray().Single(one => (string)one!["id"]! == "done")!;
            Assert.Equal(("TASK_RUNNING", "test"), ((string)task["state"]!, (string)task["role"]!));
            Assert.Equal("""[{"key":"a","value":"b"}]""", task["labels"]!.ToJsonString());
            Assert.Equal(["TASK_STARTING", "TASK_RUNNING"], task["statuses"]!.AsArray().Select(one => (string)one!["state"]!));
        }

        Assert.Contains("\"cpus\":8.0", await http.GetStringAsync("/slaves", Stop), StringComparison.Ordinal);
        Assert.Single(JsonNode.Parse(await http.GetStringAsync("/tasks?limit=1&order=asc", Stop))!["tasks"]!.AsArray());
        Assert.Equal(2, (int)JsonNode.Parse(await http.GetStringAsync("/state-summary", Stop))!["frameworks"]![0]!["TASK_RUNNING"]!);
        Assert.Equal("1.11.0", (string)JsonNode.Parse(await http.GetStringAsync("/version", Stop))!["version"]!);
        Assert.Equal(2.0, (double)JsonNode.Parse(await http.GetStringAsync("/metrics/snapshot", Stop))!["master/tasks_running"]!);
        Assert.Single(JsonNode.Parse(await http.GetStringAsync("/roles", Stop))!["roles"]!.AsArray());
        Assert.Equal("", await http.GetStringAsync("/health", Stop));
        using var redirect = await http.GetAsync("/redirect", Stop);
        Assert.Equal((HttpStatusCode.TemporaryRedirect, "//127.0.0.1:5050"), (redirect.StatusCode, redirect.Headers.Location!.OriginalString));
        using var old = await http.GetAsync("/state.json", Stop);
        Assert.Equal(HttpStatusCode.NotFound, old.StatusCode);
    }

    [Fact]
    public async Task Metrics_count_what_happens_and_the_registry_shows_what_is_kept()
    {
        var before = await Metrics();
        Assert.Equal((1.0, 1.0, 0.0), (before("master/slave_registrations"), before("master/messages_register_framework"), before("master/tasks_finished")));
        world.Agents[0].Exit("done", 0);
        await world.Until(() => world.Master.View(cluster => cluster.Counters.All.Single(one => one.Name == "master/tasks_finished").Value) == 1, "the end is counted");
        var after = await Metrics();
        Assert.Equal(before("master/valid_status_updates") + 1, after("master/valid_status_updates"));
        Assert.True(after("system/mem_total_bytes") > after("system/mem_free_bytes"));
        Assert.Equal((8.0, 0.1), (after("master/cpus_total"), after("master/cpus_used")));

        Assert.Equal("", await Post("""{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"kept","weight":3}]}}"""));
        var registry = JsonNode.Parse(await http.GetStringAsync("/registrar(1)/registry", Stop))!;
        Assert.Equal("""[{"info":{"weight":3.0,"role":"kept"}}]""", registry["weights"]!.ToJsonString());
        var agent = Assert.Single(registry["slaves"]!["slaves"]!.AsArray())!;
        Assert.Equal((false, "*"), ((bool)agent["deactivated"]!, (string)agent["info"]!["resources"]![0]!["role"]!));

        async Task<Func<string, double>> Metrics()
        {
            var all = JsonNode.Parse(await http.GetStringAsync("/metrics/snapshot", Stop))!;
            return name => (double)all[name]!;
        }
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/x-protobuf")]
    public async Task The_event_stream_begins_with_the_state_and_tells_changes(string accept)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1") { Content = Body("""{"type":"SUBSCRIBE"}""") };
        request.Headers.Accept.ParseAdd(accept);
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
        await using var records = new RecordReader(await response.Content.ReadAsStreamAsync(Stop));
        var first = await Next(records, accept);
        Assert.Equal(EventType.Subscribed, first.Type);
        Assert.Equal(2, first.Subscribed.GetState.GetTasks.Tasks.Count);
        Assert.Equal(EventType.Heartbeat, (await Next(records, accept)).Type);
        world.Agents[0].Exit("done", 0);
        var updated = await Next(records, accept);
        Assert.Equal((EventType.TaskUpdated, TaskState.TaskFinished), (updated.Type, updated.TaskUpdated.State));
        world.AddAgent(7);
        await world.Until(() => world.Agents[1].IsConnected, "the agent");
        MasterApi.Event added;
        do
            added = await Next(records, accept);
        while (added.Type == EventType.Heartbeat);
        Assert.Equal("agent-7", added.AgentAdded.Agent.AgentInfo.Hostname);
    }

    [Fact]
    public async Task The_client_follows_a_redirect_without_scheme_and_tries_the_next_master()
    {
        using var follower = new HttpListener();
        var port = FreePort();
        follower.Prefixes.Add($"http://127.0.0.1:{port}/");
        follower.Start();
        var redirecting = Redirect(follower);
        var options = new HttpMasterOptions { Masters = new MasterList($"http://127.0.0.1:{FreePort()}", $"http://127.0.0.1:{port}") };
        using var client = new HttpMaster(options, TimeProvider.System);
        await using var other = new TestFramework(world, client);
        await other.Subscribe();
        Assert.IsType<Declarative.Mesos.Scheduler.MasterUnavailable>(other.Lost);
        await other.Subscribe();
        Assert.NotNull(other.Id);
        await other.Send(Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type.Revive);
        await redirecting;
    }

    private async Task Redirect(HttpListener follower)
    {
        var context = await follower.GetContextAsync();
        context.Response.StatusCode = 307;
        context.Response.Headers["Location"] = $"//127.0.0.1:{server.Port}/master/api/v1/scheduler";
        context.Response.Close();
    }

    private static int FreePort()
    {
        using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private static ByteArrayContent Body(string json)
    {
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(json));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    private async Task<string> Post(string json)
    {
        using var response = await http.PostAsync("/api/v1", Body(json), Stop);
        return await response.Content.ReadAsStringAsync(Stop);
    }

    private static async Task<MasterApi.Event> Next(RecordReader records, string accept)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var record = (await records.Read(patience.Token))!.Value;
        return accept == "application/json"
            ? MesosJson.Read<MasterApi.Event>(System.Buffers.BuffersExtensions.ToArray(record))
            : MasterApi.Event.Parser.ParseFrom(record);
    }
}
