using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Peers and ports of network policies (Kubernetes: pkg/apis/networking/validation).</summary>
internal static class NetworkPolicyValidation
{
    public static void Spec(Part spec)
    {
        SelectorValidation.Labels(spec, "podSelector");
        foreach (var (direction, peers) in new[] { ("ingress", "from"), ("egress", "to") })
        {
            foreach (var rule in spec.Items(direction))
            {
                foreach (var port in rule.Items("ports")) Port(port);
                foreach (var peer in rule.Items(peers)) Peer(peer);
            }
        }
    }

    private static void Port(Part port)
    {
        port.OneOf("protocol", "TCP", "UDP", "SCTP");
        port.Port("port");
        if (!port.Has("endPort")) return;
        if (!port.Has("port")) port.Invalid("endPort", "may not be specified when `port` is not specified");
        else if (port.Number("port") is not { } first) port.Invalid("endPort", "may not be specified when `port` is non-numeric");
        else if (port.Number("endPort") < first) port.Invalid("endPort", "must be greater than or equal to `port`");
        port.InRange("endPort", 1, 65535);
    }

    private static void Peer(Part peer)
    {
        SelectorValidation.Labels(peer, "podSelector");
        SelectorValidation.Labels(peer, "namespaceSelector");
        var selects = peer.Has("podSelector") || peer.Has("namespaceSelector");
        if (!selects && !peer.Has("ipBlock")) peer.Causes.Add(Metadata.Required(peer.Path, "must specify a peer"));
        if (peer.Child("ipBlock") is not { } block) return;
        if (selects) peer.Causes.Add(Rules.Forbidden(peer.Path, "may not specify both ipBlock and another peer"));
        if (!block.Needs("cidr")) return;
        block.Form("cidr", Forms.NetworkError);
        var whole = Forms.IPNetworkOf(block.Text("cidr"));
        foreach (var (except, at) in block.Texts("except"))
        {
            if (Forms.NetworkError(except) is { } error) block.Causes.Add(Metadata.Invalid(at, except, error));
            else if (whole is { } network && Forms.IPNetworkOf(except) is { } part && (part.PrefixLength <= network.PrefixLength || !network.Contains(part.BaseAddress)))
            {
                block.Causes.Add(Metadata.Invalid(at, except, "must be a strict subset of `cidr`"));
            }
        }
    }
}
