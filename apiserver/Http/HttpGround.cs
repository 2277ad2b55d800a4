using System.Net.Security;
using System.Security.Authentication;
using Declarative.Api;
using Declarative.ApiServer.Authentication;
using Declarative.ApiServer.Http.Transport;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Declarative.ApiServer.Http;

/// <summary>
/// What the HTTPS face stands on and that needs no store: credentials and a server that does not listen yet. It takes as long as the store does,
/// so a start makes both at once.
/// </summary>
public sealed class HttpGround
{
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(5);

    private bool _discarded;

    private HttpGround(Pki pki, HttpOptions options)
    {
        Pki = pki;
        App = Build(options);
    }

    internal Pki Pki { get; }

    internal WebApplication App { get; }

    /// <summary>Answers every request; set before the server listens.</summary>
    internal Dispatch? Dispatch { get; set; }

    public static HttpGround Make(HttpOptions options, TimeProvider time)
    {
        Directory.CreateDirectory(options.Directory);
        var pki = Pki.Open(Path.GetFullPath(Path.Combine(options.Directory, "pki")), time, options.Names, [options.Address, .. options.ServiceAddresses]);
        try
        {
            return new(pki, options);
        }
        catch
        {
            pki.Dispose();
            throw;
        }
    }

    /// <summary>Where no face came to stand on it; a second time does nothing.</summary>
    public async ValueTask Discard()
    {
        if (_discarded) return;
        _discarded = true;
        await App.DisposeAsync();
        Pki.Dispose();
    }

    private WebApplication Build(HttpOptions options)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        // Signals are the executable's matter, not this server's.
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(options.Log);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopWithin);
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration();
        if (Epoll.IsSupported)
        {
            builder.Services.AddSingleton<IConnectionListenerFactory, LoopTransport>();
        }
        else
        {
            builder.WebHost.UseSockets(static sockets =>
            {
                // What comes is decrypted, read and answered where it was received, and what goes is sent where it was written: nothing here blocks.
                sockets.UnsafePreferInlineScheduling = true;
                sockets.WaitForDataBeforeAllocatingBuffer = false;
            });
        }
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.AllowSynchronousIO = false;
            kestrel.ResponseHeaderEncodingSelector = _ => System.Text.Encoding.UTF8;
            kestrel.Limits.MaxRequestBodySize = Limits.RequestBodyBytesDrained;
            kestrel.Limits.MaxRequestHeadersTotalSize = Limits.RequestHeadBytesMax;
            kestrel.Limits.MaxRequestLineSize = Limits.RequestHeadBytesMax;
            kestrel.Limits.Http2.MaxStreamsPerConnection = Limits.StreamsPerConnectionMax;
            kestrel.Limits.Http2.MaxRequestHeaderFieldSize = Limits.RequestHeadBytesMax;
            kestrel.Limits.Http2.InitialConnectionWindowSize = 1024 * 1024;
            kestrel.Limits.Http2.InitialStreamWindowSize = 512 * 1024;
            kestrel.Limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(30));
            kestrel.Listen(options.Address, options.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                listen.UseHttps(new HttpsConnectionAdapterOptions
                {
                    ServerCertificate = Pki.Serving,
                    ServerCertificateChain = [Pki.Authority.Certificate],
                    SslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                    ClientCertificateMode = ClientCertificateMode.AllowCertificate,
                    // Any certificate may be shown; whether it is somebody is decided once per connection, and answered with 401.
                    ClientCertificateValidation = (_, _, _) => true,
                });
                listen.Use(next => connection => Dispatch!.Meet(connection, next));
            });
        });
        var app = builder.Build();
        app.Run(context => Dispatch!.Handle(context));
        return app;
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
