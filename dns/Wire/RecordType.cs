namespace Declarative.Dns.Wire;

/// <summary>The record types this server reads or writes (IANA registry "Resource Record (RR) TYPEs").</summary>
public enum RecordType : ushort
{
    /// <summary>IPv4 address, RFC 1035.</summary>
    A = 1,
    /// <summary>Authoritative name server, RFC 1035.</summary>
    Ns = 2,
    /// <summary>Canonical name of an alias, RFC 1035.</summary>
    Cname = 5,
    /// <summary>Start of a zone of authority, RFC 1035.</summary>
    Soa = 6,
    /// <summary>Name of an address, RFC 1035.</summary>
    Ptr = 12,
    /// <summary>Persons responsible, two names, RFC 1035; never ours.</summary>
    Minfo = 14,
    /// <summary>Mail exchange, RFC 1035; never ours.</summary>
    Mx = 15,
    /// <summary>Text, RFC 1035.</summary>
    Txt = 16,
    /// <summary>Responsible person, two names, RFC 1183; never ours.</summary>
    Rp = 17,
    /// <summary>AFS database, RFC 1183; never ours.</summary>
    Afsdb = 18,
    /// <summary>IPv6 address, RFC 3596.</summary>
    Aaaa = 28,
    /// <summary>Location of a service, RFC 2782.</summary>
    Srv = 33,
    /// <summary>Key exchanger, RFC 2230; never ours.</summary>
    Kx = 36,
    /// <summary>Alias of a whole domain, RFC 6672; never ours.</summary>
    Dname = 39,
    /// <summary>EDNS pseudo record, RFC 6891.</summary>
    Opt = 41,
    /// <summary>Incremental zone transfer (question only), RFC 1995.</summary>
    Ixfr = 251,
    /// <summary>Zone transfer (question only), RFC 5936.</summary>
    Axfr = 252,
    /// <summary>Any type (question only), RFC 8482.</summary>
    Any = 255,
}
