using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Protobuf;

namespace Declarative.ApiServer.Http;

/// <summary>How the events of one watch are written.</summary>
internal abstract class WatchForm
{
    public abstract string ContentType { get; }

    /// <summary>Returns the bytes written.</summary>
    public abstract int Write(PipeWriter writer, WatchEvent happened);

    public abstract void WriteError(PipeWriter writer, Status status);

    /// <summary>Throws 406 for a form that has no stream.</summary>
    public static WatchForm Of(Exchange exchange, Accept accept)
    {
        accept.Check(isList: false);
        return accept.Form switch
        {
            MediaForm.Json => new WatchLines(exchange, accept),
            MediaForm.Protobuf when accept.Shape == Shape.Object && !ProtobufCodec.Has(exchange.Path.Kind) => throw Status.NotAcceptable("only the following media types are accepted: application/json;stream=watch"),
            MediaForm.Protobuf => new WatchFrames(new(exchange, accept)),
            _ => throw Status.NotAcceptable("only the following media types are accepted: application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch"),
        };
    }
}

/// <summary>
/// A watch in protobuf, <c>*( length event )</c>: length in 4 bytes, the highest first; event = meta.v1.WatchEvent { type = 1, object = 2 { raw = 1 } }
/// without an envelope of its own, and raw = the object in its envelope (apimachinery: serializer/streaming, LengthDelimitedFramer).
/// </summary>
internal sealed class WatchFrames(WatchLines lines) : WatchForm
{
    private readonly ArrayBufferWriter<byte> _json = new(4096);

    public override string ContentType => ProtobufCodec.MediaType + ";stream=watch";

    public override int Write(PipeWriter writer, WatchEvent happened)
    {
        if (happened.Object is { } stored && lines.IsPlain) return Frame(writer, TypeOf(happened), stored.Json);
        _json.ResetWrittenCount();
        lines.WriteObject(_json, happened);
        return Frame(writer, TypeOf(happened), _json.WrittenMemory);
    }

    public override void WriteError(PipeWriter writer, Status status) => Frame(writer, "ERROR", status.ToJson());

    private static int Frame(PipeWriter writer, string type, ReadOnlyMemory<byte> json)
    {
        var frame = new ProtobufWriter();
        frame.Text(1, type);
        var extension = frame.Begin(2);
        frame.Bytes(1, ProtobufCodec.FromJson(json) ?? throw Status.NotAcceptable("only the following media types are accepted: application/json;stream=watch"));
        frame.End(extension);
        BinaryPrimitives.WriteInt32BigEndian(writer.GetSpan(4), frame.Length);
        writer.Advance(4);
        writer.Write(frame.Written);
        return frame.Length + 4;
    }

    private static string TypeOf(WatchEvent happened) => happened.Type switch
    {
        WatchEventType.Added => "ADDED",
        WatchEventType.Modified => "MODIFIED",
        WatchEventType.Deleted => "DELETED",
        _ => "BOOKMARK",
    };
}
