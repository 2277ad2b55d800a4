namespace Declarative.Api.Schema;

/// <summary>What <c>fieldValidation</c> asks for: what happens to unknown and duplicate fields.</summary>
public enum FieldValidation : byte
{
    /// <summary>They are dropped in silence; of duplicates the last counts.</summary>
    Ignore,

    /// <summary>As Ignore, with a warning for each.</summary>
    Warn,

    /// <summary>They are errors.</summary>
    Strict,
}

/// <summary>The outcome of <see cref="SchemaCheck"/>.</summary>
/// <param name="Json">The object ready to be stored: compact, without nulls and unknown fields, apiVersion, kind and metadata first. Null when there are errors.</param>
/// <param name="Errors">In the order of the text; at most <see cref="SchemaCheck.FindingsMax"/>.</param>
/// <param name="Warnings">Likewise.</param>
public sealed record Checked(byte[]? Json, IReadOnlyList<FieldError> Errors, IReadOnlyList<FieldError> Warnings)
{
    /// <summary>One sentence for the Status of a refused request.</summary>
    public string Summary()
    {
        var strict = Errors.All(error => error.Kind is FieldErrorKind.Unknown or FieldErrorKind.Duplicate);
        return (strict ? "strict decoding error: " : "") + string.Join(", ", Errors);
    }
}
