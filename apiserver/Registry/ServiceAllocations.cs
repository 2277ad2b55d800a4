using System.Net;
using System.Text.Json.Nodes;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>
/// Which cluster IPs and node ports are taken, by the uid of the Service that has them. Rebuilt from the stored Services at the first
/// use, so nothing beside them needs to be stored.
/// </summary>
internal sealed class ServiceAllocations(RevisionLog log, ApiServerOptions options)
{
    /// <summary>The tenth address is the DNS server's by convention (architecture.md, decision 13); lower ones are for users who ask.</summary>
    private const uint FirstDynamicOffset = 11;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, string> _addresses = [];
    private readonly Dictionary<int, string> _ports = [];
    private readonly IPNetwork _range = IPNetwork.Parse(options.ServiceClusterIpRange);
    private readonly HashSet<string> _stored = [];
    private bool _read;
    private uint _nextOffset = FirstDynamicOffset + (uint)Start(options, Size(options) - FirstDynamicOffset - 1);
    private int _nextPort = options.ServiceNodePortRange.First + (int)Start(options, options.ServiceNodePortRange.Last - options.ServiceNodePortRange.First + 1);

    /// <summary>Fills in what is missing and takes what the object names. Throws 422 where an address or port is taken or out of range.</summary>
    public void Take(JsonObject service, JsonObject? old)
    {
        var spec = service.Need("spec");
        var uid = Metadata.Uid(service);
        var type = spec.Text("type");
        lock (_gate)
        {
            ReadStored();
            if (type == "ExternalName")
            {
                Free(uid);
                return;
            }
            var causes = new List<StatusCause>();
            TakeAddress(spec, uid, causes);
            if (type is "NodePort" or "LoadBalancer") TakePorts(spec, uid, type, causes);
            if (causes.Count == 0) return;
            if (old is null) Free(uid);
            throw Status.Invalid(Kind.Service, Metadata.Name(service), causes);
        }
    }

    public void Release(string uid)
    {
        lock (_gate) Free(uid);
    }

    private void TakeAddress(JsonObject spec, string uid, List<StatusCause> causes)
    {
        var text = spec.Text("clusterIP");
        if (text == "None")
        {
            spec["clusterIPs"] = new JsonArray("None");
            return;
        }
        uint offset;
        if (text.Length > 0)
        {
            if (!IPAddress.TryParse(text, out var address) || !_range.Contains(address))
            {
                causes.Add(Metadata.Invalid("spec.clusterIP", text, $"the provided IP is not in the valid range {_range}"));
                return;
            }
            offset = Number(address) - Number(_range.BaseAddress);
            if (_addresses.TryGetValue(offset, out var holder) && holder != uid)
            {
                causes.Add(Metadata.Invalid("spec.clusterIP", text, "provided IP is already allocated"));
                return;
            }
        }
        else
        {
            var size = Size(options);
            offset = _nextOffset;
            while (_addresses.ContainsKey(offset))
            {
                if (++offset >= size - 1) offset = FirstDynamicOffset;
                if (offset == _nextOffset) throw Status.Internal($"no free address is left in {_range}");
            }
            _nextOffset = offset + 1 >= size - 1 ? FirstDynamicOffset : offset + 1;
            text = Address(offset);
            spec["clusterIP"] = text;
        }
        _addresses[offset] = uid;
        spec["clusterIPs"] = new JsonArray(text);
    }

    private void TakePorts(JsonObject spec, string uid, string type, List<StatusCause> causes)
    {
        var allocate = type == "NodePort" || spec.Flag("allocateLoadBalancerNodePorts");
        var ports = spec.List("ports") ?? [];
        var (first, last) = options.ServiceNodePortRange;
        for (var i = 0; i < ports.Count; i++)
        {
            if (ports[i] is not JsonObject port) continue;
            var asked = (int)(port.Number("nodePort") ?? 0);
            if (asked > 0)
            {
                if (asked < first || asked > last) causes.Add(Metadata.Invalid($"spec.ports[{i}].nodePort", asked, $"provided port is not in the valid range. The range of valid ports is {first}-{last}"));
                else if (_ports.TryGetValue(asked, out var holder) && holder != uid) causes.Add(Metadata.Invalid($"spec.ports[{i}].nodePort", asked, "provided port is already allocated"));
                else _ports[asked] = uid;
            }
            else if (allocate)
            {
                var candidate = _nextPort;
                while (_ports.ContainsKey(candidate))
                {
                    if (++candidate > last) candidate = first;
                    if (candidate == _nextPort) throw Status.Internal($"no free node port is left in {first}-{last}");
                }
                _nextPort = candidate == last ? first : candidate + 1;
                _ports[candidate] = uid;
                port["nodePort"] = candidate;
            }
        }
    }

    private static uint Size(ApiServerOptions options) => 1u << (32 - IPNetwork.Parse(options.ServiceClusterIpRange).PrefixLength);

    /// <summary>Multiples of the golden ratio spread evenly whatever the numbers are that people choose, round ones above all.</summary>
    private static long Start(ApiServerOptions options, long count) => (long)(options.ServiceRangesFrom * 0.6180339887 % 1 * count);

    /// <summary>No other stored Service has this one's address or one of its ports.</summary>
    public bool AreFree(JsonObject service)
    {
        var (uid, spec) = (Metadata.Uid(service), service.Need("spec"));
        var address = spec.Text("clusterIP");
        var ports = (spec.List("ports") ?? []).OfType<JsonObject>().Select(x => (int)(x.Number("nodePort") ?? 0)).Where(x => x > 0).ToHashSet();
        return log.Snapshot(Kind.Service).Objects.Values.Select(x => Service.Read(x.Stored.Json)).All(x =>
            x.Uid == uid || ((address is "" or "None" || x.Spec.ClusterIP != address) && !x.Spec.Ports.Any(y => ports.Contains(y.NodePort))));
    }

    private void ReadStored()
    {
        // Where others write too, theirs are read each time; what is taken here and not yet stored stays.
        if (_read && !log.IsShared) return;
        foreach (var (offset, _) in _addresses.Where(x => _stored.Contains(x.Value)).ToList()) _addresses.Remove(offset);
        foreach (var (port, _) in _ports.Where(x => _stored.Contains(x.Value)).ToList()) _ports.Remove(port);
        _stored.Clear();
        _read = true;
        foreach (var (_, item) in log.Snapshot(Kind.Service).Objects)
        {
            var service = Service.Read(item.Stored.Json);
            if (log.IsShared) _stored.Add(service.Uid);
            if (IPAddress.TryParse(service.Spec.ClusterIP, out var address) && _range.Contains(address)) _addresses[Number(address) - Number(_range.BaseAddress)] = service.Uid;
            foreach (var port in service.Spec.Ports.Where(x => x.NodePort > 0)) _ports[port.NodePort] = service.Uid;
        }
    }

    private void Free(string uid)
    {
        foreach (var offset in _addresses.Where(x => x.Value == uid).Select(x => x.Key).ToList()) _addresses.Remove(offset);
        foreach (var port in _ports.Where(x => x.Value == uid).Select(x => x.Key).ToList()) _ports.Remove(port);
    }

    private string Address(uint offset)
    {
        var number = Number(_range.BaseAddress) + offset;
        return new IPAddress([(byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number]).ToString();
    }

    private static uint Number(IPAddress address)
    {
        var bytes = address.GetAddressBytes();
        return (uint)(bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
    }
}
