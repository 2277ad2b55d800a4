using System.Net;
using System.Net.Http.Headers;
using Declarative.Api.Kinds;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Xunit;

namespace Declarative.Tests.Lb;

/// <summary>gRPC's wire (HTTP/2, messages of five bytes and their body, trailers) both ways at once.</summary>
public sealed class GrpcTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ABidirectionalStreamGoesOnMessageByMessageAndEndsWithItsTrailer()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("talk", [await world.Backend("g", HttpProtocols.Http2)], appProtocol: "kubernetes.io/h2c");
        await Talk(world.Http, new Uri($"http://127.0.0.1:{port}/grpc.Echo/Talk"));
        Assert.Equal(0, world.Lb.Routes.Table.Clusters.Single().Destinations.Single().InFlight);
    }

    [Fact]
    public async Task TheSameThroughAnIngressOverTlsAndOnTheCleartextPort()
    {
        await using var world = await LbWorld.Start();
        var port = await world.Publish("talk", [await world.Backend("g", HttpProtocols.Http2)], appProtocol: "kubernetes.io/h2c");
        await world.Create(Kind.Ingress, "site", $$"""
            {"apiVersion":"networking.k8s.io/v1","kind":"Ingress","metadata":{"name":"site","namespace":"default"},"spec":{"defaultBackend":{"service":{"name":"talk","port":{"number":{{port}} } } } } }
            """);
        await LbWorld.Until(() => Task.FromResult(world.Lb.Routes.Table.Hosts.ByHost.Count), x => x == 1, "the Ingress is routed");
        using var tls = new TlsClient(world.Options.HttpsPort);
        await Talk(tls.Http, new Uri($"https://talk.example:{world.Options.HttpsPort}/grpc.Echo/Talk"));
        await Talk(world.Http, new Uri($"http://127.0.0.1:{world.Options.H2cPort}/grpc.Echo/Talk"));
    }

    private static async Task Talk(HttpClient http, Uri uri)
    {
        var content = new StreamedContent();
        using var request = new HttpRequestMessage(HttpMethod.Post, uri) { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = content };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Stop);
        Assert.Equal((HttpStatusCode.OK, "application/grpc"), (answer.StatusCode, answer.Content.Headers.ContentType!.MediaType));
        await using var back = await answer.Content.ReadAsStreamAsync(Stop);
        for (byte i = 0; i < 10; i++)
        {
            byte[] message = [0, 0, 0, 0, 3, i, i, i];
            var stream = await content.Stream;
            await stream.WriteAsync(message, Stop);
            await stream.FlushAsync(Stop);
            var got = new byte[message.Length];
            await back.ReadExactlyAsync(got, Stop); // before the next is sent
            Assert.Equal(message, got);
        }
        content.End();
        Assert.Equal(0, await back.ReadAsync(new byte[1], Stop));
        Assert.Equal("0", answer.TrailingHeaders.GetValues("grpc-status").Single());
    }

    /// <summary>A body that is written while the answer is read.</summary>
    private sealed class StreamedContent : HttpContent
    {
        private readonly TaskCompletionSource<Stream> _stream = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public StreamedContent() => Headers.ContentType = new("application/grpc");

        public Task<Stream> Stream => _stream.Task;

        public void End() => _end.TrySetResult();

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            // HttpClient keeps the head of a request until something is flushed behind it; whoever waits for the answer before he writes waits for ever.
            await stream.FlushAsync(Stop);
            _stream.TrySetResult(stream);
            await _end.Task;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
