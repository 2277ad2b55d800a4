using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using Declarative.Mesos.Mini.Http;
using Declarative.Mesos.Mini.Master;
using Xunit;

namespace Declarative.Tests.Mesos;

/// <summary>Recorded requests, sent as bytes, get the status, type and text that a real master gave.</summary>
public sealed class HttpReplayTests : IAsyncLifetime
{
    private MasterServer server = null!;

    public static TheoryData<int, string> Requests()
    {
        var data = new TheoryData<int, string>();
        foreach (var (index, line) in Recorded.Lines("http.jsonl").Index())
            data.Add(index, (string)JsonNode.Parse(line)!["note"]!);
        return data;
    }

    public async ValueTask InitializeAsync() =>
        server = await MasterServer.Start(
            new IPEndPoint(IPAddress.Loopback, 0),
            port => new MiniMaster(new MasterOptions { Port = port }, TimeProvider.System, new Random(1)),
            CancellationToken.None
        );

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task Answers_as_recorded(int index, string note)
    {
        var expected = JsonNode.Parse(Recorded.Lines("http.jsonl").ElementAt(index))!;
        Assert.Equal(note, (string)expected["note"]!);
        var request = (string)expected["request"]! + "\n\n";
        var (status, heads, body) = await Send(request.ReplaceLineEndings("\r\n") + (string)expected["body"]!);
        Assert.Equal((int)expected["status"]!, status);
        Assert.Equal((string?)expected["type"], heads.GetValueOrDefault("content-type"));
        Assert.Equal((string?)expected["allow"], heads.GetValueOrDefault("allow"));
        Assert.Equal((string?)expected["text"], body);
    }

    private async Task<(int Status, Dictionary<string, string> Heads, string Body)> Send(string request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.Port);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request));
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        var text = "";
        var buffer = new byte[64 * 1024];
        while (true)
        {
            if (Whole(text) is { } answer)
                return answer;
            var read = await stream.ReadAsync(buffer, patience.Token);
            Assert.True(read > 0, $"The connection ended after: {text}");
            text += Encoding.UTF8.GetString(buffer, 0, read);
        }
    }

    // By length, or (streams) by chunks up to the last one: the record without its frame.
    private static (int, Dictionary<string, string>, string)? Whole(string text)
    {
        var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        if (end < 0)
            return null;
        var lines = text[..end].Split("\r\n");
        var heads = lines.Skip(1).Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0].ToLowerInvariant(), pair => pair[1]);
        var status = int.Parse(lines[0].Split(' ')[1]);
        var body = text[(end + 4)..];
        if (heads.TryGetValue("content-length", out var length))
            return body.Length >= int.Parse(length) ? (status, heads, body) : null;
        return body.EndsWith("0\r\n\r\n", StringComparison.Ordinal) ? (status, heads, body.Split("\r\n")[1].Split('\n', 2)[1]) : null;
    }
}
