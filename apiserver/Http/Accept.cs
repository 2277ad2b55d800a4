using System.Collections.Concurrent;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>In which shape the client wants objects.</summary>
internal enum Shape
{
    Object,
    Table,
    PartialMetadata,
}

internal enum MediaForm
{
    Json,
    Protobuf,
    Yaml,
}

/// <summary>
/// The answer's form, from the Accept header: the first media range that this server can serve
/// (Kubernetes doc "API Concepts": <c>application/json;as=Table;v=v1;g=meta.k8s.io</c>).
/// </summary>
/// <param name="Version">v1 or v1beta1 of meta.k8s.io for Table and PartialObjectMetadata.</param>
/// <param name="OfList">PartialObjectMetadataList is asked for, which an object is not.</param>
internal sealed record Accept(Shape Shape, string Version, MediaForm Form, bool OfList = false)
{
    public static Accept Json { get; } = new(Shape.Object, "v1", MediaForm.Json);

    private const int CachedMax = 256;
    private static readonly ConcurrentDictionary<string, Accept?> Known = new(StringComparer.Ordinal);

    /// <summary>Throws 406 where nothing in the header can be served.</summary>
    public static Accept Parse(string? header)
    {
        if (string.IsNullOrEmpty(header) || header is "application/json" or "application/json, */*" or "*/*") return Json;
        if (!Known.TryGetValue(header, out var accept))
        {
            accept = Read(header);
            if (Known.Count < CachedMax) Known.TryAdd(header, accept);
        }
        return accept ?? throw NotAcceptable();
    }

    /// <summary>The form of an answer that has no shape, such as an error; JSON where the header names nothing that can be served.</summary>
    public static MediaForm FormOf(string? header)
    {
        if (string.IsNullOrEmpty(header) || header is "application/json" or "application/json, */*" or "*/*") return MediaForm.Json;
        if (!Known.TryGetValue(header, out var accept)) accept = Read(header);
        return accept?.Form ?? MediaForm.Json;
    }

    /// <summary>Throws 406 where a list is asked for as an object, or an object as a list.</summary>
    public void Check(bool isList)
    {
        if (Shape != Shape.PartialMetadata || OfList == isList) return;
        throw Status.NotAcceptable(isList ? "you requested PartialObjectMetadata, but the requested object is a list" : "you requested PartialObjectMetadataList, but the requested object is not a list");
    }

    private static ApiException NotAcceptable() => Status.NotAcceptable("only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf");

    private static Accept? Read(string header)
    {
        // Quality values are rare in this API's clients; as kube-apiserver does, they order the ranges (stable where equal).
        var ranges = header.Split(',').Select(x => x.Split(';', StringSplitOptions.TrimEntries)).OrderByDescending(Quality);
        Accept? protobuf = null;
        foreach (var parts in ranges)
        {
            MediaForm form;
            switch (parts[0].Trim())
            {
                case "application/json" or "application/*" or "*/*":
                    form = MediaForm.Json;
                    break;
                case "application/vnd.kubernetes.protobuf":
                    form = MediaForm.Protobuf;
                    break;
                case "application/yaml":
                    form = MediaForm.Yaml;
                    break;
                default:
                    continue;
            }
            var (shape, version, group) = (Shape.Object, "v1", "meta.k8s.io");
            var (known, ofList) = (true, false);
            foreach (var part in parts.AsSpan(1))
            {
                if (part.StartsWith("as=", StringComparison.Ordinal))
                {
                    switch (part[3..])
                    {
                        case "Table": shape = Shape.Table; break;
                        case "PartialObjectMetadata" or "PartialObjectMetadataList": (shape, ofList) = (Shape.PartialMetadata, part.EndsWith("List", StringComparison.Ordinal)); break;
                        default: known = false; break;
                    }
                }
                else if (part.StartsWith("v=", StringComparison.Ordinal)) version = part[2..];
                else if (part.StartsWith("g=", StringComparison.Ordinal)) group = part[2..];
            }
            if (!known || (shape != Shape.Object && (group != "meta.k8s.io" || version is not ("v1" or "v1beta1")))) continue;
            if (form == MediaForm.Protobuf)
            {
                // Objects are stored as JSON: a client that lists both for the same shape gets JSON, whichever it names first. A table has no protobuf form.
                if (shape != Shape.Table) protobuf ??= new(shape, version, form, ofList);
                continue;
            }
            if (protobuf is not null && protobuf.Shape != shape) return protobuf;
            return form == MediaForm.Json && shape == Shape.Object ? Json : new(shape, version, form, ofList);
        }
        return protobuf;
    }

    private static double Quality(string[] parts)
    {
        foreach (var part in parts.AsSpan(1))
        {
            if (part.StartsWith("q=", StringComparison.Ordinal) && double.TryParse(part.AsSpan(2), System.Globalization.CultureInfo.InvariantCulture, out var q)) return q;
        }
        return 1;
    }
}
