using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Declarative.Tests.ApiServer.Streams;

/// <summary>Reads each connection to its end, then answers how many bytes came: right only where both directions end by themselves.</summary>
internal sealed class CountingServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _serving;

    public CountingServer()
    {
        _listener.Start();
        _serving = Serve();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static async Task<string> Ask(int port, int bytes, CancellationToken stop)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, stop);
        var stream = client.GetStream();
        var block = new byte[64 * 1024];
        for (var left = bytes; left > 0; left -= block.Length) await stream.WriteAsync(block.AsMemory(0, Math.Min(left, block.Length)), stop);
        client.Client.Shutdown(SocketShutdown.Send);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(stop);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _serving;
        _stop.Dispose();
    }

    private async Task Serve()
    {
        var open = new List<Task>();
        try
        {
            while (true) open.Add(Answer(await _listener.AcceptSocketAsync(_stop.Token)));
        }
        catch (OperationCanceledException)
        {
            await Task.WhenAll(open);
        }
    }

    private async Task Answer(Socket client)
    {
        using (client)
        {
            try
            {
                var buffer = new byte[64 * 1024];
                var count = 0;
                while (await client.ReceiveAsync(buffer, _stop.Token) is > 0 and var read) count += read;
                await client.SendAsync(Encoding.ASCII.GetBytes($"{count} bytes"), _stop.Token);
            }
            catch (SocketException)
            {
                // The client has gone.
            }
            catch (OperationCanceledException)
            {
                // The test is over.
            }
        }
    }
}
