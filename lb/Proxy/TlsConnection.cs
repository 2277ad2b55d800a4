using System.IO.Pipelines;
using System.Net;
using Declarative.Lb.Proxy.Plain;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Declarative.Lb.Proxy;

/// <summary>A connection whose TLS an event loop has begun, for Kestrel: it sees what is inside.</summary>
internal sealed class TlsConnection : ConnectionContext
{
    private readonly ConnectionContext _raw;
    private readonly TlsStream _stream;

    public TlsConnection(ConnectionContext raw, TlsHandoff tls)
    {
        _raw = raw;
        _stream = new(tls, raw.Transport);
        Transport = new Pipes(PipeReader.Create(_stream, new(leaveOpen: true)), PipeWriter.Create(_stream, new(leaveOpen: true)));
        // By this Kestrel knows that the scheme is https.
        Features.Set<ITlsConnectionFeature>(new TlsConnectionFeature());
    }

    public override string ConnectionId
    {
        get => _raw.ConnectionId;
        set => _raw.ConnectionId = value;
    }

    public override IFeatureCollection Features => _raw.Features;

    public override IDictionary<object, object?> Items
    {
        get => _raw.Items;
        set => _raw.Items = value;
    }

    public override IDuplexPipe Transport { get; set; }

    public override CancellationToken ConnectionClosed
    {
        get => _raw.ConnectionClosed;
        set => _raw.ConnectionClosed = value;
    }

    public override EndPoint? LocalEndPoint
    {
        get => _raw.LocalEndPoint;
        set => _raw.LocalEndPoint = value;
    }

    public override EndPoint? RemoteEndPoint
    {
        get => _raw.RemoteEndPoint;
        set => _raw.RemoteEndPoint = value;
    }

    public override void Abort(ConnectionAbortedException abortReason) => _raw.Abort(abortReason);

    public override async ValueTask DisposeAsync()
    {
        try
        {
            await Transport.Input.CompleteAsync();
            await Transport.Output.CompleteAsync();
        }
        catch (IOException e)
        {
            _raw.Abort(new("what was left could not be sent", e));
        }
        finally
        {
            await End();
        }

        async Task End()
        {
            try
            {
                await _stream.DisposeAsync();
            }
            finally
            {
                await _raw.DisposeAsync();
            }
        }
    }

    private sealed record Pipes(PipeReader Input, PipeWriter Output) : IDuplexPipe;
}
