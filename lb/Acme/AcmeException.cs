namespace Declarative.Lb.Acme;

/// <summary>What a certificate authority has refused, or not done (RFC 8555 section 6.7).</summary>
/// <param name="type">The last part of the problem's type, for example "rateLimited"; "" where the answer is no problem document.</param>
/// <param name="after">The authority asks not to be asked again before this has passed; null = it does not say.</param>
internal sealed class AcmeException(string type, string detail, TimeSpan? after = null) : Exception(type.Length == 0 ? detail : $"{type}: {detail}")
{
    public string Type { get; } = type;

    public TimeSpan? After { get; } = after;
}
