namespace Declarative.ApiServer.Storage.Etcd;

/// <summary>etcd has refused a call, or could not be reached.</summary>
/// <param name="code">The gRPC status by its number; 14 where there was no answer at all.</param>
internal sealed class EtcdException(int code, string message, Exception? inner = null) : Exception(message, inner)
{
    public const int DeadlineExceeded = 4;
    public const int ResourceExhausted = 8;
    public const int OutOfRange = 11;
    public const int Unavailable = 14;
    public const int Unauthenticated = 16;

    public int Code => code;

    /// <summary>One code has three meanings, which the text tells.</summary>
    public bool IsNoSpace => code == ResourceExhausted && Message.Contains("space", StringComparison.Ordinal);

    public bool IsOverload => code == ResourceExhausted && Message.Contains("too many requests", StringComparison.Ordinal);

    public bool IsTooLarge => Message.Contains("too large", StringComparison.Ordinal) || Message.Contains("larger than max", StringComparison.Ordinal);

    /// <summary>It may be different at the next attempt, and this one may have had its effect.</summary>
    public bool IsPassing => code is Unavailable or DeadlineExceeded;
}
