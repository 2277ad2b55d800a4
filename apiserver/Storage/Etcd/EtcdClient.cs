using System.Net;
using System.Net.Security;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api;
using Google.Protobuf;

namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>
/// etcd's v3 API over gRPC, as far as the journal needs it. Calls go to one endpoint until it fails, then to the next. With a user, a token is
/// fetched at the first call and again when etcd has forgotten it.
/// </summary>
internal sealed class EtcdClient : IDisposable
{
    private readonly IReadOnlyList<Uri> _endpoints;
    private readonly (string Name, string Password)? _user;
    private readonly HttpMessageInvoker _http;
    private int _endpoint;
    private string? _token;

    public EtcdClient(EtcdOptions options)
    {
        _endpoints = options.Endpoints;
        _user = options.ReadUser();
        var tls = new SslClientAuthenticationOptions();
        if (options.ReadAuthorities() is { } authorities)
        {
            tls.CertificateChainPolicy = new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
            tls.CertificateChainPolicy.CustomTrustStore.AddRange(authorities);
        }
        if (options.ReadCertificate() is { } certificate) tls.ClientCertificateContext = certificate;
        _http = new(new SocketsHttpHandler
        {
            SslOptions = tls,
            UseProxy = false,
            ConnectTimeout = EtcdLimits.CallWithin,
            KeepAlivePingDelay = EtcdLimits.PingAfter,
            KeepAlivePingTimeout = EtcdLimits.PingAfter,
            PooledConnectionLifetime = Timeout.InfiniteTimeSpan,
            EnableMultipleHttp2Connections = true,
        });
    }

    private Uri Endpoint => _endpoints[_endpoint % _endpoints.Count];

    public Task<RangeResponse> Range(RangeRequest request, CancellationToken stop) => Call("etcdserverpb.KV/Range", request, RangeResponse.Parser, stop);

    public Task<TxnResponse> Txn(TxnRequest request, CancellationToken stop) => Call("etcdserverpb.KV/Txn", request, TxnResponse.Parser, stop);

    /// <summary>etcd forgets what was before the revision.</summary>
    public Task Compact(long revision, CancellationToken stop) => Call("etcdserverpb.KV/Compact", new CompactionRequest { Revision = revision }, CompactionResponse.Parser, stop);

    /// <summary>What etcd says of the keys until it or the connection ends, which is always an <see cref="EtcdException"/>.</summary>
    public async IAsyncEnumerable<WatchResponse> Watch(WatchCreateRequest create, [EnumeratorCancellation] CancellationToken stop)
    {
        // etcd ends a watch whose request has ended: its body stays open.
        var ended = Completion.New();
        using var request = await Request("etcdserverpb.Watch/Watch", new OpenBody(GrpcFrames.Write(new WatchRequest { CreateRequest = create }), ended.Task), stop);
        // A member that is cut off from its quorum ends the watch, rather than saying nothing.
        request.Headers.TryAddWithoutValidation("hasleader", "true");
        using var answer = await Reaching(() => _http.SendAsync(request, stop), stop);
        try
        {
            await using var stream = await answer.Content.ReadAsStreamAsync(stop);
            while (await Reaching(async () => await GrpcFrames.Read(stream, stop) is { } message ? WatchResponse.Parser.ParseFrom(message) : null, stop) is { } said)
            {
                // A token that is no longer known is a reason that is told in words alone.
                if (said.Canceled) _token = null;
                yield return said;
            }
            Refused(answer);
            throw new EtcdException(EtcdException.Unavailable, "the watch has ended");
        }
        finally
        {
            ended.TrySetResult();
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task<T> Call<T>(string method, IMessage message, MessageParser<T> parser, CancellationToken stop) where T : IMessage<T>
    {
        try
        {
            return await CallOnce(method, message, parser, stop);
        }
        catch (EtcdException e) when (e.Code == EtcdException.Unauthenticated && _user is not null)
        {
            return await CallOnce(method, message, parser, stop);
        }
    }

    private async Task<T> CallOnce<T>(string method, IMessage message, MessageParser<T> parser, CancellationToken stop) where T : IMessage<T>
    {
        using var request = await Request(method, new ByteArrayContent(GrpcFrames.Write(message)), stop);
        return await Send(request, parser, stop);
    }

    private async Task<T> Send<T>(HttpRequestMessage request, MessageParser<T> parser, CancellationToken stop) where T : IMessage<T>
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limit.CancelAfter(EtcdLimits.CallWithin);
        return await Reaching(async () =>
        {
            using var answer = await _http.SendAsync(request, limit.Token);
            await using var stream = await answer.Content.ReadAsStreamAsync(limit.Token);
            var message = await GrpcFrames.Read(stream, limit.Token);
            // The trailers come after the end of the body.
            if (message is not null) await GrpcFrames.Read(stream, limit.Token);
            Refused(answer);
            return parser.ParseFrom(message ?? throw new IOException("the answer has no message"));
        }, stop);
    }

    private void Refused(HttpResponseMessage answer)
    {
        try
        {
            GrpcFrames.Check(answer);
        }
        catch (EtcdException e) when (e.Code == EtcdException.Unauthenticated)
        {
            _token = null;
            throw;
        }
    }

    // Whatever keeps a call from its answer is one kind of error, and the next call goes elsewhere.
    private async Task<T> Reaching<T>(Func<Task<T>> call, CancellationToken stop)
    {
        var endpoint = _endpoint;
        try
        {
            return await call();
        }
        catch (Exception e) when (e is HttpRequestException or IOException || (e is OperationCanceledException && !stop.IsCancellationRequested))
        {
            Interlocked.CompareExchange(ref _endpoint, endpoint + 1, endpoint);
            throw new EtcdException(EtcdException.Unavailable, $"{_endpoints[endpoint % _endpoints.Count]} does not answer: {e.InnerException?.Message ?? e.Message}", e);
        }
        catch (EtcdException e) when (e.IsPassing)
        {
            Interlocked.CompareExchange(ref _endpoint, endpoint + 1, endpoint);
            throw;
        }
    }

    private async Task<HttpRequestMessage> Request(string method, HttpContent content, CancellationToken stop)
    {
        if (_user is { } user && _token is null)
        {
            using var authenticate = Plain("etcdserverpb.Auth/Authenticate", new ByteArrayContent(GrpcFrames.Write(new AuthenticateRequest { Name = user.Name, Password = user.Password })));
            _token = (await Send(authenticate, AuthenticateResponse.Parser, stop)).Token;
        }
        var request = Plain(method, content);
        if (_token is { } token) request.Headers.TryAddWithoutValidation("token", token);
        return request;
    }

    private HttpRequestMessage Plain(string method, HttpContent content)
    {
        content.Headers.ContentType = new("application/grpc");
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(Endpoint, method)) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = content };
        request.Headers.TE.Add(new("trailers"));
        return request;
    }

    private sealed class OpenBody(byte[] first, Task ended) : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(first);
            await stream.FlushAsync();
            await ended;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
