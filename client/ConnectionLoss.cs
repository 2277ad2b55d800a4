using Declarative.Api;
using Microsoft.Extensions.Logging;

namespace Declarative.Client;

/// <summary>How loud a failed call is: that the server is out of reach is told once by its connection and not again by all who use it.</summary>
internal static class ConnectionLoss
{
    public static LogLevel Level(Exception e) => e is ApiException { IsOutOfReach: true } ? LogLevel.Debug : LogLevel.Warning;
}
