using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>One JSON object under validation: its members, its path, and the list that takes what is wrong with it.</summary>
/// <param name="Json">The object.</param>
/// <param name="Path">Its field path, such as <c>spec.containers[0]</c>.</param>
/// <param name="Causes">Causes are added in the order in which the rules are read.</param>
internal readonly record struct Part(JsonObject Json, string Path, List<StatusCause> Causes)
{
    public string Text(string name) => Json.Text(name);

    public long? Number(string name) => Json.Number(name);

    public bool Has(string name) => Json[name] is not null;

    public string At(string name) => $"{Path}.{name}";

    /// <summary>The member as a part; null where it is no object.</summary>
    public Part? Child(string name) => Json.Object(name) is { } child ? new(child, At(name), Causes) : null;

    /// <summary>The objects of a list, each with its index in its path.</summary>
    public IEnumerable<Part> Items(string name)
    {
        var items = Json.List(name) ?? [];
        for (var i = 0; i < items.Count; i++)
        {
            if (items[i] is JsonObject item) yield return new(item, $"{At(name)}[{i}]", Causes);
        }
    }

    /// <summary>The texts of a list, each with its path.</summary>
    public IEnumerable<(string Value, string At)> Texts(string name)
    {
        var items = Json.List(name) ?? [];
        for (var i = 0; i < items.Count; i++) yield return (Rules.Text(items[i]), $"{At(name)}[{i}]");
    }

    public void Invalid(string name, string why) => Causes.Add(Json[name] is { } value ? Metadata.InvalidJson(At(name), value, why) : Metadata.Invalid(At(name), "", why));

    public void Forbidden(string name, string why) => Causes.Add(Rules.Forbidden(At(name), why));

    /// <summary>False, with a cause, where the member is absent or an empty text or list.</summary>
    public bool Needs(string name, string why = "")
    {
        if (Json[name] is { } value && value is not JsonArray { Count: 0 } && !(value is JsonValue && Rules.Text(value).Length == 0)) return true;
        Causes.Add(Metadata.Required(At(name), why));
        return false;
    }

    public void OneOf(string name, params ReadOnlySpan<string> allowed)
    {
        // The path is made where it is told.
        if (Text(name) is { Length: > 0 } text && !allowed.Contains(text)) PodValidation.OneOf(text, allowed.ToArray(), At(name), Causes);
    }

    /// <summary>A text that is there must be of the form; the form's function says what is wrong.</summary>
    public void Form(string name, Func<string, string?> error)
    {
        if (Text(name) is { Length: > 0 } text && error(text) is { } wrong) Causes.Add(Metadata.Invalid(At(name), text, wrong));
    }

    public void InRange(string name, long least, long most)
    {
        if (Number(name) is { } number && (number < least || number > most)) Invalid(name, $"must be between {least.ToString(CultureInfo.InvariantCulture)} and {most.ToString(CultureInfo.InvariantCulture)}, inclusive");
    }

    /// <summary>Of the named members, one in this order and no second.</summary>
    public int OnlyOne(string many, params ReadOnlySpan<string> names)
    {
        var found = 0;
        foreach (var name in names)
        {
            if (Has(name) && ++found > 1) Forbidden(name, many);
        }
        return found;
    }

    /// <summary>A map of labels (Kubernetes: ValidateLabels).</summary>
    public void Labels(string name)
    {
        foreach (var (key, value) in Json.Object(name) ?? [])
        {
            if (Names.QualifiedNameError(key) is { } keyError) Causes.Add(Metadata.Invalid(At(name), key, keyError));
            if (Names.LabelValueError(Rules.Text(value)) is { } valueError) Causes.Add(Metadata.Invalid(At(name), Rules.Text(value), valueError));
        }
    }

    /// <summary>A port's number, or its name (RFC 6335 section 5.1).</summary>
    public void Port(string name)
    {
        InRange(name, 1, 65535);
        Form(name, PodValidation.PortNameError);
    }
}
