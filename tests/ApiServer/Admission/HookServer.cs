using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Declarative.Tests.ApiServer.Admission;

/// <summary>A webhook behind HTTPS on a free port, with a certificate of its own making for 127.0.0.1 and hook.default.svc.</summary>
internal sealed class HookServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;

    private HookServer(WebApplication app, X509Certificate2 certificate)
    {
        (_app, _certificate) = (app, certificate);
        Port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()).Port;
    }

    public int Port { get; }
    public string Url => $"https://127.0.0.1:{Port}/hook";

    /// <summary>For clientConfig.caBundle: the PEM in base64.</summary>
    public string CaBundle => Convert.ToBase64String(Encoding.UTF8.GetBytes(_certificate.ExportCertificatePem()));

    /// <summary>The reviews that came, in their order.</summary>
    public ConcurrentQueue<JsonNode> Reviews { get; } = new();

    /// <param name="answer">From the review's request to the answer's response, without its uid.</param>
    public static async Task<HookServer> Start(Func<JsonNode, Task<JsonObject>> answer)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=hook", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        names.AddDnsName("hook.default.svc");
        request.CertificateExtensions.Add(names.Build());
        using var made = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        var certificate = X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);

        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(x => x.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        var app = builder.Build();
        HookServer? server = null;
        app.Run(async context =>
        {
            var review = (await JsonNode.ParseAsync(context.Request.Body))!;
            server!.Reviews.Enqueue(review);
            var response = await answer(review["request"]!);
            response["uid"] = (string)review["request"]!["uid"]!;
            await context.Response.WriteAsync(new JsonObject { ["apiVersion"] = (string)review["apiVersion"]!, ["kind"] = (string)review["kind"]!, ["response"] = response }.ToJsonString());
        });
        await app.StartAsync();
        return server = new(app, certificate);
    }

    public static JsonObject Allowed(string? patch = null) => patch is null ? new() { ["allowed"] = true }
        : new() { ["allowed"] = true, ["patchType"] = "JSONPatch", ["patch"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(patch)) };

    public static JsonObject Denied(string message, int code = 403) =>
        new() { ["allowed"] = false, ["status"] = new JsonObject { ["code"] = code, ["message"] = message } };

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _certificate.Dispose();
    }
}
