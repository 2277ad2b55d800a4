using Microsoft.AspNetCore.Http;

namespace Declarative.Mesos.Mini.Http;

/// <summary>The two forms of every message.</summary>
internal enum MediaType
{
    Json,
    Protobuf,
}

internal static class MediaTypes
{
    public const string Json = "application/json";
    public const string Protobuf = "application/x-protobuf";

    public static string Name(this MediaType type) => type == MediaType.Json ? Json : Protobuf;

    /// <summary>Mesos compares the whole header: a charset makes it another type.</summary>
    public static MediaType? OfContent(string contentType) =>
        contentType switch
        {
            Json => MediaType.Json,
            Protobuf => MediaType.Protobuf,
            _ => null,
        };

    /// <summary>What the client takes; JSON when it takes both or does not say. Null when it takes neither.</summary>
    public static MediaType? OfAccept(HttpRequest request)
    {
        var accept = request.Headers.Accept.ToString();
        if (accept.Length == 0)
            return MediaType.Json;
        MediaType? best = null;
        foreach (var part in accept.Split(','))
        {
            var name = part.Split(';', 2)[0].Trim();
            if (name is "*/*" or "application/*" or Json)
                return MediaType.Json;
            if (name == Protobuf)
                best = MediaType.Protobuf;
        }

        return best;
    }
}
