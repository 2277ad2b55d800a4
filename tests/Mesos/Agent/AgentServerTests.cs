using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Declarative.Mesos.AgentClient;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Link;
using Declarative.Mesos.Protocol;
using Xunit;
using static Declarative.Tests.Mesos.Agent.AgentBench;

namespace Declarative.Tests.Mesos.Agent;

public sealed class AgentServerTests : IAsyncLifetime
{
    private readonly AgentBench bench = new();
    private readonly HttpClient http = new();
    private AgentServer server = null!;
    private AgentClient client = null!;

    public async ValueTask InitializeAsync()
    {
        await bench.Start();
        server = await AgentServer.Start(bench.Agent, new IPEndPoint(IPAddress.Loopback, 0), TestContext.Current.CancellationToken);
        http.BaseAddress = new Uri($"http://127.0.0.1:{server.Port}");
        client = new AgentClient(http.BaseAddress, http, TimeProvider.System);
    }

    public async ValueTask DisposeAsync()
    {
        await server.DisposeAsync();
        http.Dispose();
        await bench.DisposeAsync();
    }

    [Theory]
    [InlineData("""{"type":"GET_HEALTH"}""", """{"type":"GET_HEALTH","get_health":{"healthy":true}}""")]
    [InlineData("""{"type":"GET_VERSION"}""", """{"type":"GET_VERSION","get_version":{"version_info":{"version":"1.11.0"}}}""")]
    [InlineData("""{"type":"GET_CONTAINERS"}""", """{"type":"GET_CONTAINERS"}""")]
    [InlineData("""{"type":"GET_OPERATIONS"}""", """{"type":"GET_OPERATIONS","get_operations":{}}""")]
    public async Task Small_calls_are_answered_as_recorded(string call, string expected) => Assert.Equal(expected, await Post(call));

    [Fact]
    public async Task Bad_calls_are_refused_as_recorded()
    {
        Assert.Equal((400, "Failed to validate agent::Call: Expecting 'get_metrics' to be present"), await Refused("""{"type":"GET_METRICS"}"""));
        Assert.Equal(404, (await Refused("""{"type":"READ_FILE","read_file":{"path":"/etc/passwd","offset":0}}""")).Status);
        Assert.Equal(404, (await Refused("""{"type":"LIST_FILES","list_files":{"path":"/slave/log"}}""")).Status);
        Assert.Equal(501, (await Refused("""{"type":"ADD_RESOURCE_PROVIDER_CONFIG"}""")).Status);
        Assert.Equal((200, ""), await Refused("""{"type":"PRUNE_IMAGES"}"""));
        Assert.Equal(404, (int)(await http.GetAsync("/state.json", TestContext.Current.CancellationToken)).StatusCode);
    }

    [Fact]
    public async Task State_tasks_containers_and_agent_are_shown()
    {
        bench.Master.Run(Shell("t1", "sleep 1000"));
        bench.Master.Run(Shell("t2", "true"));
        await bench.Master.Until("t1", TaskState.TaskRunning);
        await bench.Master.Until("t2", TaskState.TaskFinished);
        await TestMaster.Until(() => bench.Agent.Runs.Any(run => run.IsSettled));
        using var state = JsonDocument.Parse(await Post("""{"type":"GET_STATE"}"""));
        var tasks = state.RootElement.GetProperty("get_state").GetProperty("get_tasks");
        Assert.Equal("TASK_RUNNING", tasks.GetProperty("launched_tasks")[0].GetProperty("state").GetString());
        Assert.Equal("t2", tasks.GetProperty("completed_tasks")[0].GetProperty("task_id").GetProperty("value").GetString());

        using var containers = JsonDocument.Parse(await Post("""{"type":"GET_CONTAINERS","get_containers":{"show_nested":true}}"""));
        var container = Assert.Single(containers.RootElement.GetProperty("get_containers").GetProperty("containers").EnumerateArray());
        Assert.Equal("t1", container.GetProperty("executor_id").GetProperty("value").GetString());
        Assert.Equal("Command Executor (Task: t1) (Command: sh -c 'sleep 1000')", container.GetProperty("executor_name").GetString());
        Assert.True(container.GetProperty("resource_statistics").GetProperty("mem_rss_bytes").GetInt64() > 0);

        using var agent = JsonDocument.Parse(await Post("""{"type":"GET_AGENT"}"""));
        Assert.Equal("S-1", agent.RootElement.GetProperty("get_agent").GetProperty("agent_info").GetProperty("id").GetProperty("value").GetString());

        using var legacy = JsonDocument.Parse(await http.GetStringAsync("/slave(1)/state", TestContext.Current.CancellationToken));
        Assert.Equal("S-1", legacy.RootElement.GetProperty("id").GetString());
        Assert.Equal("[31000-31099]", legacy.RootElement.GetProperty("resources").GetProperty("ports").GetString());
        var executor = legacy.RootElement.GetProperty("frameworks")[0].GetProperty("executors")[0];
        Assert.Equal(bench.Agent.Runs[0].Sandbox, executor.GetProperty("directory").GetString());
        Assert.Equal("TASK_RUNNING", executor.GetProperty("tasks")[0].GetProperty("state").GetString());
        Assert.Equal("t2", legacy.RootElement.GetProperty("frameworks")[0].GetProperty("completed_executors")[0].GetProperty("id").GetString());

        using var statistics = JsonDocument.Parse(await http.GetStringAsync("/monitor/statistics", TestContext.Current.CancellationToken));
        Assert.True(statistics.RootElement[0].GetProperty("statistics").GetProperty("cpus_soft_limit").GetDouble() > 0);
        using var metrics = JsonDocument.Parse(await http.GetStringAsync("/metrics/snapshot", TestContext.Current.CancellationToken));
        Assert.Equal(1, metrics.RootElement.GetProperty("slave/tasks_running").GetDouble());
    }

    [Fact]
    public async Task Files_of_sandboxes_are_listed_and_read_and_no_others()
    {
        bench.Master.Run(Shell("t", "echo line 1; ln -s /etc/passwd out; ln -s stdout inner; ln -s .. up; mkdir d; echo x > d/f"));
        await bench.Master.Until("t", TaskState.TaskFinished);
        var real = bench.Agent.Runs[0].Sandbox;
        foreach (var root in (string[])[real, "/frameworks/F-1/executors/t/runs/latest", $"/frameworks/F-1/executors/t/runs/{Path.GetFileName(real)}"])
        {
            Assert.Equal(["d", "inner", "stderr", "stdout"], (await client.ListFiles(root, TestContext.Current.CancellationToken)).Select(file => Path.GetFileName(file.Path)));
            Assert.Equal(("line 1\n", 7L), await Read(root + "/stdout"));
            Assert.Equal(("line 1\n", 7L), await Read(root + "/inner"));
            Assert.Equal(("x\n", 2L), await Read(root + "/d/../d/f"));
            foreach (var forbidden in (string[])["/out", "/up/latest/stdout", "/../latest/stdout", "/d", "/nope"])
                Assert.Equal(404, (await Assert.ThrowsAsync<AgentRefused>(() => Read(root + forbidden))).Status);
        }

        var (data, size) = await client.ReadFile(real + "/stdout", 100000, null, TestContext.Current.CancellationToken);
        Assert.Equal((0, 7L), (data.Length, size));
        Assert.Equal("""{"data":"line","offset":0}""", await http.GetStringAsync($"/files/read?path={real}/stdout&offset=0&length=4", TestContext.Current.CancellationToken));
        Assert.Equal("""{"data":"","offset":7}""", await http.GetStringAsync($"/files/read?path={real}/stdout", TestContext.Current.CancellationToken));
        Assert.Equal("line 1\n", await http.GetStringAsync($"/files/download?path={real}/stdout", TestContext.Current.CancellationToken));
        using var listing = JsonDocument.Parse(await http.GetStringAsync($"/files/browse?path={real}", TestContext.Current.CancellationToken));
        Assert.Equal("-rw-", listing.RootElement[3].GetProperty("mode").GetString()![..4]);
        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync("/files/read?path=/etc/passwd&offset=0", TestContext.Current.CancellationToken)).StatusCode);

        async Task<(string, long)> Read(string path)
        {
            var (bytes, length) = await client.ReadFile(path, 0, null, TestContext.Current.CancellationToken);
            return (bytes.ToStringUtf8(), length);
        }
    }

    [Fact]
    public async Task A_log_is_read_whole_by_its_tail_and_up_to_a_limit()
    {
        bench.Master.Run(Shell("t", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i; done; sleep 0.01; echo oops >&2; printf end >&2"));
        await bench.Master.Until("t", TaskState.TaskFinished);
        var all = string.Concat(Enumerable.Range(1, 20000).Select(i => $"line {i}\n"));
        Assert.Equal(all + "oops\nend", await Log("t", LogStreams.Both));
        Assert.Equal(all, await Log("t", LogStreams.Stdout));
        Assert.Equal("oops\nend", await Log("t", LogStreams.Stderr));
        Assert.Equal("line 19999\nline 20000\n", await Log("t", LogStreams.Stdout, tail: 2));
        Assert.Equal(all, await Log("t", LogStreams.Stdout, tail: 20000));
        Assert.Equal(all, await Log("t", LogStreams.Stdout, tail: 30000));
        Assert.Equal(all[^("line 20000\n".Length * 10000)..], (await Log("t", LogStreams.Stdout, tail: 15000))[^("line 20000\n".Length * 10000)..]);
        Assert.Equal("end", await Log("t", LogStreams.Stderr, tail: 1));
        Assert.Equal("", await Log("t", LogStreams.Both, tail: 0));
        Assert.Equal(all[..100000], await Log("t", LogStreams.Both, limit: 100000));
        Assert.Equal(404, (await Assert.ThrowsAsync<AgentRefused>(() => Log("ghost", LogStreams.Both))).Status);
    }

    [Fact]
    public async Task A_followed_log_ends_with_its_task_and_loses_nothing()
    {
        bench.Master.Run(Shell("t", "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo out $i; echo err $i >&2; [ $((i%50)) = 0 ] && sleep 0.1; done; printf last"));
        await bench.Master.Until("t", TaskState.TaskRunning);
        var lines = (await Log("t", LogStreams.Both, follow: true)).Split('\n');
        Assert.Equal(Enumerable.Range(1, 300).Select(i => $"out {i}"), lines.Where(line => line.StartsWith("out", StringComparison.Ordinal)));
        Assert.Equal(Enumerable.Range(1, 300).Select(i => $"err {i}"), lines.Where(line => line.StartsWith("err", StringComparison.Ordinal)));
        Assert.Equal(601, lines.Length);
        Assert.Equal("last", lines[^1]);
    }

    [Fact]
    public async Task The_log_of_a_pods_container_is_its_own()
    {
        bench.Master.Send(
            new ToAgent
            {
                RunGroup = new()
                {
                    Framework = TestMaster.Framework,
                    Executor = new() { Type = ExecutorInfo.Types.Type.Default, ExecutorId = new() { Value = "pod" } },
                    Group = new() { Tasks = { Shell("a", "echo from a"), Shell("b", "echo from b") } },
                },
            }
        );
        await bench.Master.Until("a", TaskState.TaskFinished);
        await bench.Master.Until("b", TaskState.TaskFinished);
        Assert.Equal("from a\n", await Log("a", LogStreams.Both));
        Assert.Equal("from b\n", await Log("b", LogStreams.Both));
    }

    [Fact]
    public async Task An_agent_that_is_not_there_is_named()
    {
        var nobody = new AgentClient(new Uri("http://127.0.0.1:1"), http, TimeProvider.System);
        var failed = await Assert.ThrowsAsync<AgentUnavailable>(() => nobody.FindSandbox("t", TestContext.Current.CancellationToken));
        Assert.Contains("http://127.0.0.1:1", failed.Message, StringComparison.Ordinal);
    }

    private async Task<string> Log(string task, LogStreams streams, int? tail = null, long? limit = null, bool follow = false)
    {
        using var text = new MemoryStream();
        await foreach (var chunk in client.ReadLog(task, streams, tail, limit, follow, TestContext.Current.CancellationToken))
            await text.WriteAsync(chunk, TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(text.ToArray());
    }

    private async Task<string> Post(string json)
    {
        using var response = await Send(json);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType?.ToString());
        return await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
    }

    private async Task<(int Status, string Text)> Refused(string json)
    {
        using var response = await Send(json);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private async Task<HttpResponseMessage> Send(string json)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(json));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return await http.PostAsync("/api/v1", content, TestContext.Current.CancellationToken);
    }
}
