namespace Declarative.Api.Schema;

/// <summary>What is wrong with a field.</summary>
public enum FieldErrorKind : byte
{
    /// <summary>The text is no JSON.</summary>
    Malformed,

    /// <summary>JSON of another type than the field's, or a string that has not the form it must have.</summary>
    WrongType,
    Unknown,
    Duplicate,
    TooDeep,
    TooLarge,
}

/// <summary>One finding of <see cref="SchemaCheck"/>.</summary>
/// <param name="Path">For example <c>spec.template.spec.containers[0].ports</c>; empty for the object itself.</param>
/// <param name="Message">What was expected and what was found, without the path.</param>
public readonly record struct FieldError(string Path, FieldErrorKind Kind, string Message)
{
    /// <summary>The whole sentence, as clients see it. The words for unknown and duplicate fields are those that scripts look for.</summary>
    public override string ToString() => Kind switch
    {
        FieldErrorKind.Unknown when Message.Length == 0 => $"unknown field \"{Path}\"",
        FieldErrorKind.Unknown => $"unknown field \"{Path}\" ({Message})",
        FieldErrorKind.Duplicate => $"duplicate field \"{Path}\"",
        _ when Path.Length == 0 => Message,
        _ => $"{Path}: {Message}",
    };
}
