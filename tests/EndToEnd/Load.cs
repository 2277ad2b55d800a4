using System.Collections.Concurrent;
using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Several clients that ask the same address again and again. Every answer but 200 is kept as a failure.</summary>
internal sealed class Load : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private readonly ConcurrentDictionary<string, int> _answers = new(StringComparer.Ordinal);
    private readonly Task _clients;
    private int _answered;

    /// <param name="pause">Between two requests of one client.</param>
    public Load(Uri url, int clients, TimeSpan pause) => _clients = Task.WhenAll(Enumerable.Range(0, clients).Select(_ => Task.Run(() => Ask(url, pause))));

    /// <summary>Requests answered with 200.</summary>
    public int Answered => Volatile.Read(ref _answered);

    /// <summary>What was answered, each once.</summary>
    public ICollection<string> Answers => _answers.Keys;

    /// <summary>Waits until that many more requests were answered, so that what follows happens under load.</summary>
    public async Task More(int requests)
    {
        var enough = Answered + requests;
        await RunningPlatform.Until(() => Answered >= enough || !_failures.IsEmpty, $"{requests} more requests are answered");
    }

    /// <summary>Ends the clients; no request has failed.</summary>
    public async Task HasNotFailed()
    {
        await Stop();
        Assert.True(_failures.IsEmpty, $"{_failures.Count} of {Answered + _failures.Count} requests failed:\n{string.Join('\n', _failures.Take(10))}");
        Assert.True(Answered > 0);
    }

    public async ValueTask DisposeAsync()
    {
        await Stop();
        _stop.Dispose();
    }

    private async Task Stop()
    {
        await _stop.CancelAsync();
        await _clients;
    }

    private async Task Ask(Uri url, TimeSpan pause)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromSeconds(60) };
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                // Not cancelled: the last request too has to be answered.
                using var response = await http.GetAsync(url, CancellationToken.None);
                var body = await response.Content.ReadAsStringAsync(CancellationToken.None);
                if (response.IsSuccessStatusCode)
                {
                    _answers[body.Trim()] = 1;
                    Interlocked.Increment(ref _answered);
                }
                else
                {
                    _failures.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {(int)response.StatusCode} {body}");
                }
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                _failures.Enqueue($"{DateTime.UtcNow:HH:mm:ss.fff} {e.Message} {e.InnerException?.Message}");
            }
            await Task.Delay(pause);
        }
    }
}
