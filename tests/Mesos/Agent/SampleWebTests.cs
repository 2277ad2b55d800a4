using System.Net;
using Declarative.Cli.Commands;
using Xunit;

namespace Declarative.Tests.Mesos.Agent;

public sealed class SampleWebTests : IDisposable
{
    private readonly CancellationTokenSource stop = new();
    private readonly StringWriter output = new();
    private readonly HttpClient client = new();
    private SampleWeb? web;

    public void Dispose()
    {
        client.Dispose();
        stop.Dispose();
    }

    [Fact]
    public async Task It_answers_with_its_name_and_prints_a_line_per_request_but_for_its_probes()
    {
        var (serving, address) = Start();
        Assert.Equal("web-1\n", await client.GetStringAsync(address, TestContext.Current.CancellationToken));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(address + "healthz", TestContext.Current.CancellationToken)).StatusCode);
        using var body = new StringContent(new string('x', 100_000));
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsync(address + "a", body, TestContext.Current.CancellationToken)).StatusCode);
        Assert.Equal("web-1\n", await client.GetStringAsync(address + "b", TestContext.Current.CancellationToken));
        await stop.CancelAsync();
        Assert.Equal(0, await serving);
        var lines = output.ToString().Split('\n');
        Assert.StartsWith("web-1 listens on 127.0.0.1:", lines[0], StringComparison.Ordinal);
        Assert.StartsWith("GET / 200 ", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("POST /a 200 ", lines[2], StringComparison.Ordinal);
        Assert.StartsWith("GET /b 200 ", lines[3], StringComparison.Ordinal);
        Assert.Equal("web-1 ends", lines[4]);
    }

    [Fact]
    public async Task A_request_in_flight_is_finished_before_the_end()
    {
        var (serving, address) = Start();
        var slow = client.GetStringAsync(address + "slow?ms=400", TestContext.Current.CancellationToken);
        await TestMaster.Until(() => web!.InFlight == 1);
        await stop.CancelAsync();
        Assert.False(serving.IsCompleted);
        Assert.Equal("web-1\n", await slow);
        Assert.Equal(0, await serving);
        await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(address, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task It_exits_with_the_code_that_is_asked_for()
    {
        var (serving, address) = Start();
        await client.GetStringAsync(address + "exit?code=7", TestContext.Current.CancellationToken);
        Assert.Equal(7, await serving);
    }

    private (Task<int> Serving, string Address) Start()
    {
        web = new SampleWeb("web-1", output, TimeProvider.System);
        var serving = web.Serve(new IPEndPoint(IPAddress.Loopback, 0), stop.Token);
        return (serving, "http://" + output.ToString().Split('\n')[0].Split(' ')[^1] + "/");
    }
}
