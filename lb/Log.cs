using Microsoft.Extensions.Logging;

namespace Declarative.Lb;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Information, Message = "balancer {Id}: {Services} services on {Listeners} listeners")]
    public static partial void Serving(ILogger logger, string id, int services, int listeners);

    [LoggerMessage(Level = LogLevel.Information, Message = "balancer {Id} takes no new connections")]
    public static partial void Stopping(ILogger logger, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cannot listen on {Listener}: {Why}")]
    public static partial void NotListening(ILogger logger, string listener, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Ingress {Key}: {Why}")]
    public static partial void TlsProblem(ILogger logger, string key, string why);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the Secrets cannot be read yet: Ingress is served with the default certificate until they can")]
    public static partial void WithoutSecrets(ILogger logger);

    [LoggerMessage(Level = LogLevel.Information, Message = "Secret {Secret} holds a new certificate for {Hosts}")]
    public static partial void CertificateIssued(ILogger logger, string secret, string hosts);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Secret {Secret}: {Why}")]
    public static partial void NoCertificate(ILogger logger, string secret, string why);

    [LoggerMessage(Level = LogLevel.Error, Message = "{What} {Key} is left out: its routes could not be made")]
    public static partial void LeftOut(ILogger logger, string what, string key, Exception error);
}
