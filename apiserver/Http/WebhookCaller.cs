using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Admission.Webhooks;

namespace Declarative.ApiServer.Http;

/// <summary>
/// Calls webhooks over HTTPS. A webhook that names a Service is reached at a ready endpoint of it, and shows a certificate for
/// <c>NAME.NAMESPACE.svc</c>; the certificate must be of the caBundle's authorities, or without a bundle of those that this machine trusts.
/// </summary>
public sealed class WebhookCaller
{
    /// <summary>An answer holds at most an object and a patch of it, which stands in base64.</summary>
    private const int AnswerBytesMax = 3 * Limits.RequestBodyBytesMax;

    /// <summary>Webhooks whose connections are kept; beyond it all are forgotten and begun anew.</summary>
    private const int ClientsMax = 100;

    private static readonly TimeSpan ConnectionIdle = TimeSpan.FromSeconds(30);

    /// <summary>A Service's endpoints change: a connection is not used longer than this.</summary>
    private static readonly TimeSpan ConnectionAge = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<(Uri? Url, string Namespace, string Service, int Port, string CaBundle), HttpMessageInvoker> _clients = new();
    private readonly Func<User, IApi> _api;
    private readonly TimeProvider _time;

    private WebhookCaller(Func<User, IApi> api, TimeProvider time) => (_api, _time) = (api, time);

    /// <param name="api">The API in this process, bound to a user; asked for Services and their endpoints when a webhook is called.</param>
    public static CallHook Over(Func<User, IApi> api, TimeProvider time) => new WebhookCaller(api, time).Call;

    /// <exception cref="HookException">No answer in time, or one that is not 200.</exception>
    private async Task<ReadOnlyMemory<byte>> Call(HookTarget target, ReadOnlyMemory<byte> body, TimeSpan timeout, CancellationToken stop)
    {
        var url = UrlOf(target, timeout);
        using var limit = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, limit.Token);
        try
        {
            var http = Client(target);
            using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ReadOnlyMemoryContent(body) };
            request.Content.Headers.ContentType = new("application/json");
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
            using var response = await http.SendAsync(request, either.Token);
            if (!response.IsSuccessStatusCode) throw new HookException($"Post \"{url}\": the server answered {(int)response.StatusCode}, expected 200");
            return await Read(response, url, either.Token);
        }
        catch (OperationCanceledException e) when (limit.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw new HookException($"Post \"{url}\": context deadline exceeded: no answer within {timeout.TotalSeconds:0.#} s", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException or AuthenticationException)
        {
            throw new HookException($"Post \"{url}\": {(e.InnerException is AuthenticationException tls ? tls.Message : e.Message)}", e);
        }
    }

    private static async Task<ReadOnlyMemory<byte>> Read(HttpResponseMessage response, Uri url, CancellationToken stop)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(stop);
        using var answer = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (await stream.ReadAsync(buffer, stop) is > 0 and var count)
        {
            answer.Write(buffer, 0, count);
            if (answer.Length > AnswerBytesMax) throw new HookException($"Post \"{url}\": the answer has more than {AnswerBytesMax} bytes");
        }
        return answer.ToArray();
    }

    private HttpMessageInvoker Client(HookTarget target)
    {
        if (_clients.Count > ClientsMax) _clients.Clear(); // Their connections end by themselves when they are idle.
        return _clients.GetOrAdd((target.Url, target.ServiceNamespace, target.ServiceName, target.ServicePort, target.CaBundle), _ => Make(target));
    }

    private HttpMessageInvoker Make(HookTarget target)
    {
        var roots = Roots(target.CaBundle);
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false, UseCookies = false, UseProxy = false, ActivityHeadersPropagator = null,
            PooledConnectionIdleTimeout = ConnectionIdle, PooledConnectionLifetime = ConnectionAge,
        };
        if (roots.Count > 0)
        {
            handler.SslOptions.RemoteCertificateValidationCallback = (_, certificate, _, errors) => Trusts(roots, certificate, errors);
        }
        if (target.Url is null) handler.ConnectCallback = (_, stop) => Connect(target, stop);
        return new(handler);
    }

    private static bool Trusts(X509Certificate2Collection roots, X509Certificate? certificate, SslPolicyErrors errors)
    {
        if (certificate is not X509Certificate2 shown || (errors & ~SslPolicyErrors.RemoteCertificateChainErrors) != SslPolicyErrors.None) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(roots);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(shown);
    }

    private async ValueTask<Stream> Connect(HookTarget target, CancellationToken stop)
    {
        var (address, port) = await Endpoint(target, stop);
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, port, stop);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<(string Address, int Port)> Endpoint(HookTarget target, CancellationToken stop)
    {
        var own = _api(User.ApiServer);
        try
        {
            var service = Service.Read((await own.Get(new(Kind.Service, target.ServiceNamespace, target.ServiceName), stop: stop)).Json);
            var wanted = service.Spec.Ports.FirstOrDefault(x => x.Port == target.ServicePort)
                ?? throw new HookException($"service \"{target.ServiceName}\" has no port {target.ServicePort}");
            var slices = await own.List(new(Kind.EndpointSlice, target.ServiceNamespace) { Labels = LabelSelector.Parse($"{EndpointSlice.ServiceNameLabel}={target.ServiceName}") }, stop);
            var ready = (
                from slice in slices.Items.Select(x => EndpointSlice.Read(x.Json))
                from open in slice.Ports
                where open.Name == wanted.Name
                from endpoint in slice.Endpoints
                where endpoint.Conditions.IsReady && endpoint.Addresses.Count > 0
                select (endpoint.Addresses[0], open.Port)).ToList();
            return ready.Count > 0 ? ready[Random.Shared.Next(ready.Count)] : throw new HookException($"no endpoints available for service \"{target.ServiceName}\"");
        }
        catch (ApiException e)
        {
            throw new HookException(e.Message, e);
        }
    }

    private static Uri UrlOf(HookTarget target, TimeSpan timeout)
    {
        var url = target.Url is { } given ? new UriBuilder(given) : new("https", $"{target.ServiceName}.{target.ServiceNamespace}.svc", target.ServicePort, target.ServicePath);
        url.Query = string.Create(CultureInfo.InvariantCulture, $"timeout={timeout.TotalSeconds:0}s");
        return url.Uri;
    }

    private static X509Certificate2Collection Roots(string bundle)
    {
        var roots = new X509Certificate2Collection();
        if (bundle.Length > 0) roots.ImportFromPem(bundle);
        return roots;
    }
}
