using Declarative.Api.Objects;

namespace Declarative.Api.Schema;

/// <summary>The outcome of <see cref="SchemaCheck"/>.</summary>
/// <param name="Json">The object ready to be stored: compact, without nulls and unknown fields, apiVersion, kind and metadata first. Null when there are errors.</param>
/// <param name="Errors">In the order of the text; at most <see cref="SchemaCheck.FindingsMax"/>.</param>
/// <param name="Warnings">Likewise.</param>
public sealed record Checked(byte[]? Json, IReadOnlyList<FieldError> Errors, IReadOnlyList<FieldError> Warnings)
{
    /// <summary>The canonical object, or the Status that tells the client everything that is wrong with it.</summary>
    /// <exception cref="ApiException">400 BadRequest, or 413 when the object is larger than <see cref="Limits.ObjectBytesMax"/>.</exception>
    public byte[] Accepted(string apiVersion, string kind)
    {
        if (Json is not null)
        {
            return Json;
        }

        throw Errors[0].Kind == FieldErrorKind.TooLarge ? Status.TooLarge(Summary()) : Status.BadRequest($"{apiVersion} {kind}: {Summary()}");
    }

    /// <summary>One sentence for the Status of a refused request.</summary>
    public string Summary()
    {
        var strict = Errors.All(error => error.Kind is FieldErrorKind.Unknown or FieldErrorKind.Duplicate);
        return (strict ? "strict decoding error: " : "") + string.Join(", ", Errors);
    }
}
