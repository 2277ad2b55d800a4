namespace Declarative.Dns.Wire;

/// <summary>Response codes. Those above 15 need an OPT record, which carries the upper eight bits (RFC 6891, 6.1.3).</summary>
public enum ResponseCode : ushort
{
    /// <summary>No error; with an empty answer section: NODATA (RFC 2308).</summary>
    NoError = 0,
    /// <summary>The query could not be read.</summary>
    FormErr = 1,
    /// <summary>The server failed.</summary>
    ServFail = 2,
    /// <summary>The name does not exist, nor any name below it (RFC 8020).</summary>
    NxDomain = 3,
    /// <summary>This kind of query is not implemented.</summary>
    NotImp = 4,
    /// <summary>Refused by policy: not one of our zones.</summary>
    Refused = 5,
    /// <summary>Not authoritative for the zone asked for (RFC 2136, 2.2).</summary>
    NotAuth = 9,
    /// <summary>EDNS version not known (RFC 6891, 6.1.3).</summary>
    BadVers = 16,
}
