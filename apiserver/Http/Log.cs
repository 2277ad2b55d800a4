using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Declarative.ApiServer.Http;

internal static partial class Log
{
    [LoggerMessage(Level = LogLevel.Error, Message = "{Method} {Path} failed by a bug of this server")]
    public static partial void Failed(ILogger log, string method, PathString path, Exception bug);

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Method} {Path}: the client went away before its answer")]
    public static partial void Lost(ILogger log, string method, PathString path);

    [LoggerMessage(Level = LogLevel.Warning, Message = "the keys of the OIDC issuer can not be had: {Reason}")]
    public static partial void NoIssuerKeys(ILogger log, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "a client certificate that cannot be read: {Reason}")]
    public static partial void BadCertificate(ILogger log, string reason);
}
