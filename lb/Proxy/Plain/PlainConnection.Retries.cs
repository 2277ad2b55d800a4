using System.Globalization;
using System.Text;
using Declarative.Lb.Settings;

namespace Declarative.Lb.Proxy.Plain;

/// <content>Endpoints that do not answer: another one, or word to the client.</content>
internal sealed unsafe partial class PlainConnection
{
    private const int StatusCodes502 = 502;
    private const int StatusCodes504 = 504;

    /// <summary>The endpoint has closed or reset its connection, or does not take the request.</summary>
    private void UpstreamLost()
    {
        if (_state == State.Answering)
        {
            if (_framing == Framing.UntilEnd || _isAnswerDone)
            {
                LetGo(again: false);
                Answered();
            }
            else
            {
                Interlocked.Increment(ref _cluster!.Counts.FailureCount);
                Break(); // the client must not take what it has for the whole
            }
            return;
        }
        if (_upstream is { IsUsed: true } && _isIdempotent && !_isAnswered)
        {
            // It was closed while the request was on its way: the endpoint has said nothing about the request.
            DropUpstream();
            (_fresh, _state) = (true, State.Connecting);
            Ask();
            return;
        }
        Failed("the connection was closed before an answer came", nothingSent: false);
    }

    /// <summary>No answer from this endpoint: another one where that can do no harm, else the client is told.</summary>
    private void Failed(string why, bool nothingSent, int status = StatusCodes502)
    {
        DropUpstream();
        var (cluster, destination) = (_cluster!, _destination!);
        var settings = cluster.Settings;
        if (_attempt < settings.Retries && (nothingSent || (_isIdempotent && !_isAnswered)) && cluster.Pick(but: destination, settings.Balance == Balance.Source ? Mixing.Hash(_client.Client) : 0) is { } other)
        {
            if (cluster.Retries.TryTake(cluster, cluster.Now()))
            {
                Interlocked.Increment(ref cluster.Counts.RetryCount);
                if (settings.Outlier is not null) cluster.Outcome(destination, failed: true);
                destination.Release();
                _destination = other;
                _attempt++;
                _state = State.Connecting;
                Ask();
                return;
            }
            other.Release();
        }
        Interlocked.Increment(ref cluster.Counts.FailureCount);
        TryTake(_requestBytes);
        Answer(status, status == StatusCodes504 ? "Gateway Timeout" : "Bad Gateway", $"Endpoint {destination} of Service {cluster.Service} port {cluster.Number} did not answer: {why}\n");
    }

    /// <summary>An answer of the balancer's own to the request in hand.</summary>
    private void Answer(int status, string reason, string text)
    {
        var head = string.Create(CultureInfo.InvariantCulture,
            $"HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(text)}\r\n{Encoding.Latin1.GetString(_proxy.DateLine())}{(_keepsAlive ? "" : "Connection: close\r\n")}\r\n");
        var bytes = Encoding.UTF8.GetBytes(_isHead ? head : head + text);
        _state = State.Answering;
        LetGo(again: false, status);
        fixed (byte* from = bytes) Send(from, bytes.Length, more: false);
        if (_state == State.Answering) Answered();
    }
}
