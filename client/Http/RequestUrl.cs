using System.Globalization;
using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Client.Http;

/// <summary>The relative URLs of the Kubernetes API (Kubernetes doc "API concepts", Resource URIs) with their parameters.</summary>
public struct RequestUrl
{
    private readonly StringBuilder _text;
    private char _next;

    private RequestUrl(StringBuilder text)
    {
        _text = text;
        _next = '?';
    }

    /// <summary>A path that is no resource.</summary>
    public static RequestUrl Path(string path) => new(new StringBuilder(path));

    /// <param name="ns">null = all namespaces.</param>
    public static RequestUrl Collection(Kind kind, string? ns)
    {
        var text = new StringBuilder(128);
        if (kind.Group.Length == 0) text.Append("/api/").Append(kind.Version);
        else text.Append("/apis/").Append(kind.Group).Append('/').Append(kind.Version);
        if (kind.Namespaced && ns is not null) text.Append("/namespaces/").Append(Uri.EscapeDataString(ns));
        text.Append('/').Append(kind.Plural);
        return new(text);
    }

    public static RequestUrl Object(ResourceKey key, string subresource)
    {
        var url = Collection(key.Kind, key.Namespace);
        url._text.Append('/').Append(Uri.EscapeDataString(key.Name));
        if (subresource.Length > 0) url._text.Append('/').Append(subresource);
        return url;
    }

    /// <summary>A new object goes to its collection, a new subresource to its object.</summary>
    public static RequestUrl New(ResourceKey key, string subresource) => subresource.Length == 0 ? Collection(key.Kind, key.Namespace) : Object(key, subresource);

    public RequestUrl With(string name, string value)
    {
        if (value.Length == 0) return this;
        _text.Append(_next).Append(name).Append('=').Append(Uri.EscapeDataString(value));
        _next = '&';
        return this;
    }

    public RequestUrl With(string name, bool value) => value ? With(name, "true") : this;

    public RequestUrl With(string name, long? value) => value is { } number ? With(name, number.ToString(CultureInfo.InvariantCulture)) : this;

    public RequestUrl With(WriteOptions options) =>
        With("dryRun", options.DryRun ? "All" : "")
            .With("fieldManager", options.FieldManager)
            .With("fieldValidation", options.FieldValidation == FieldValidation.Warn ? "" : options.FieldValidation.ToString())
            .With("force", options.Force);

    public override readonly string ToString() => _text.ToString();
}
