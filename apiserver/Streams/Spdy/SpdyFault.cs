namespace Declarative.ApiServer.Streams.Spdy;

/// <summary>The client does not speak SPDY/3.1: its connection is ended.</summary>
internal sealed class SpdyFault(string what) : IOException("the SPDY connection has sent " + what);
