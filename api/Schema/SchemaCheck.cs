using System.Text.Json;
using System.Text.Unicode;

namespace Declarative.Api.Schema;

/// <summary>
/// The structural check of the write path: one pass over the bytes that judges types, unknown and duplicate fields and the syntax of
/// formatted strings, and writes the canonical form. Pure; safe for use by many threads.
/// </summary>
public static class SchemaCheck
{
    /// <summary>More errors than a reader wants; it bounds the answer to a hostile object.</summary>
    public const int FindingsMax = 20;

    /// <param name="type">From <see cref="TypeTable"/>.</param>
    /// <param name="json">UTF-8.</param>
    /// <param name="mode">What to do about unknown and duplicate fields; wrong types are errors in each mode.</param>
    public static Checked Check(SchemaType type, ReadOnlySpan<byte> json, FieldValidation mode)
    {
        if (!Utf8.IsValid(json))
        {
            return Refused(new FieldError("", FieldErrorKind.Malformed, "the text is not UTF-8"));
        }

        using var output = new JsonBuffer(json.Length + 256);
        var walk = new SchemaWalk(json, output, mode);
        byte[]? result;
        try
        {
            result = walk.Root(type);
        }
        catch (JsonException e)
        {
            return Refused(Malformed(e));
        }
        catch (InvalidOperationException e) when (IsReaders(e))
        {
            return Refused(new FieldError(walk.Path, FieldErrorKind.Malformed, "an escape in a string stands for half a surrogate pair"));
        }

        if (walk.Errors.Count > 0)
        {
            return new Checked(null, walk.Errors, walk.Warnings);
        }

        if (result!.Length > Limits.ObjectBytesMax)
        {
            return Refused(new FieldError("", FieldErrorKind.TooLarge, $"the object has {result.Length} bytes, more than {Limits.ObjectBytesMax}"));
        }

        if (walk.HasDuplicates)
        {
            // Rare: the last of each counts, which a tree knows and a single pass does not.
            var again = Check(type, JsonTree.Parse(json.ToArray()).ToBytes(), FieldValidation.Ignore);
            return again with { Warnings = walk.Warnings };
        }

        return new Checked(result, [], walk.Warnings);
    }

    private static Checked Refused(FieldError error) => new(null, [error], []);

    /// <summary>The reader throws this for half a surrogate pair, which it finds only when a string is unescaped.</summary>
    internal static bool IsReaders(InvalidOperationException e) => e.Source?.StartsWith("System.Text.Json", StringComparison.Ordinal) == true;

    /// <summary>The reader's complaint as a finding, with the position counted from 1.</summary>
    public static FieldError Malformed(JsonException e)
    {
        // The reader's message ends with its own, zero-based, form of the position.
        var cut = e.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        var reason = cut < 0 ? e.Message : e.Message[..cut];
        return reason.Contains("maximum configured depth", StringComparison.Ordinal)
            ? new FieldError("", FieldErrorKind.TooDeep, $"objects and lists are nested more than {Limits.JsonDepthMax} levels deep")
            : new FieldError("", FieldErrorKind.Malformed, $"no valid JSON at line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}: {reason}");
    }
}
