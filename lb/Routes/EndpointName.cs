using System.Globalization;
using System.Net;

namespace Declarative.Lb.Routes;

/// <summary>
/// Names endpoints apart where connections to them are kept by name. By address and port alone a pod that gets the port of one before it would be sent its
/// first requests over connections that the other one has left: <c>http://p&lt;16 digits of the endpoint's id&gt;.&lt;address in hexadecimal&gt;:PORT</c>.
/// </summary>
internal static class EndpointName
{
    private const int IdChars = 1 + 16;

    public static string Prefix(IPEndPoint endpoint, string id) =>
        string.Create(CultureInfo.InvariantCulture, $"http://p{id}.x{Convert.ToHexStringLower(endpoint.Address.GetAddressBytes())}:{endpoint.Port}");

    /// <param name="host">Of <see cref="Prefix"/>.</param>
    public static IPEndPoint EndPoint(string host, int port) => new(new IPAddress(Convert.FromHexString(host.AsSpan(IdChars + 2))), port);
}
