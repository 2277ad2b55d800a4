namespace Declarative.Controllers.Nodes;

/// <summary>
/// What the parts of this process know of agents: Placement notes those that it sees in offers, the platform those that the master's operator
/// API names. Safe for use from any thread.
/// </summary>
public sealed class AgentFeed
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, AgentFacts> _agents = new(StringComparer.Ordinal);

    /// <summary>The agent that was last active at a host and port.</summary>
    private readonly Dictionary<(string Hostname, int Port), string> _places = [];
    private readonly SortedSet<string> _ownRoles = new(StringComparer.Ordinal);
    private Action<string>? _changed;

    /// <summary>A Mesos role of this platform's framework.</summary>
    public void OwnRole(string role)
    {
        List<string> present;
        lock (_lock)
        {
            if (!_ownRoles.Add(role)) return;
            present = [.. _agents.Keys];
        }
        foreach (var id in present) _changed?.Invoke(id);
    }

    /// <summary>What is reserved for the role, or used in it, is this platform's.</summary>
    public bool IsOwn(string role)
    {
        lock (_lock) return _ownRoles.Any(x => x == role || x.StartsWith(role + "/", StringComparison.Ordinal));
    }

    /// <summary>The master has told all of the agent, and that it is there: an offer of it says nothing new.</summary>
    public bool KnowsAll(string agentId)
    {
        lock (_lock) return _agents.TryGetValue(agentId, out var known) && known is { IsOffer: false, Presence: AgentPresence.Active };
    }

    /// <summary>An agent in an offer: it is there, and has at least what is offered.</summary>
    public void Seen(AgentFacts facts)
    {
        lock (_lock)
        {
            if (_agents.TryGetValue(facts.AgentId, out var known))
            {
                var grown = Grown(known, facts);
                if (known.Presence is AgentPresence.Active && grown == known) return;
                facts = grown with { Presence = AgentPresence.Active };
            }
            _agents[facts.AgentId] = facts;
        }
        Replaces(facts);
        _changed?.Invoke(facts.AgentId);
    }

    /// <summary>All that there is to know of an agent, from the operator API.</summary>
    public void Known(AgentFacts facts)
    {
        lock (_lock)
        {
            if (_agents.TryGetValue(facts.AgentId, out var known) && Same(known, facts)) return;
            _agents[facts.AgentId] = facts;
        }
        if (facts.Presence is AgentPresence.Active) Replaces(facts);
        _changed?.Invoke(facts.AgentId);
    }

    /// <summary>
    /// A machine runs one agent at a port: one that was known there under another id is gone, and must not take its Node back. Not so an active
    /// one of another address: that is another machine of the same name.
    /// </summary>
    private void Replaces(AgentFacts now)
    {
        string? former;
        lock (_lock)
        {
            var place = (now.Hostname.ToLowerInvariant(), now.Port);
            former = _places.GetValueOrDefault(place);
            _places[place] = now.AgentId;
            if (former is null || former == now.AgentId || _agents[former].Presence is AgentPresence.Gone) return;
            if (_agents[former].Presence is AgentPresence.Active && _agents[former].Address != now.Address) return;
            _agents[former] = _agents[former] with { Presence = AgentPresence.Gone };
        }
        _changed?.Invoke(former);
    }

    /// <summary>The master has lost the agent (FAILURE without an executor).</summary>
    public void Lost(string agentId)
    {
        lock (_lock)
        {
            if (!_agents.TryGetValue(agentId, out var known) || known.Presence is not AgentPresence.Active) return;
            _agents[agentId] = known with { Presence = AgentPresence.Unreachable };
        }
        _changed?.Invoke(agentId);
    }

    /// <summary>A task of the agent is heard of: it is there again.</summary>
    public void Back(string agentId)
    {
        lock (_lock)
        {
            if (!_agents.TryGetValue(agentId, out var known) || known.Presence is not AgentPresence.Unreachable) return;
            _agents[agentId] = known with { Presence = AgentPresence.Active };
        }
        _changed?.Invoke(agentId);
    }

    public AgentFacts? Find(string agentId)
    {
        lock (_lock) return _agents.GetValueOrDefault(agentId);
    }

    /// <summary>Calls the handler for every known agent, and from now on for each that changes.</summary>
    internal void OnChange(Action<string> changed)
    {
        List<string> present;
        lock (_lock)
        {
            _changed = changed;
            present = [.. _agents.Keys];
        }
        foreach (var id in present) changed(id);
    }

    /// <summary>Offers are parts of an agent: the greatest seen so far counts, until the operator API says it all.</summary>
    private static AgentFacts Grown(AgentFacts known, AgentFacts seen) => !known.IsOffer ? known : known with
    {
        Cpus = Math.Max(known.Cpus, seen.Cpus),
        Mem = Math.Max(known.Mem, seen.Mem),
        Disk = Math.Max(known.Disk, seen.Disk),
        Ports = Math.Max(known.Ports, seen.Ports),
        Gpus = Math.Max(known.Gpus, seen.Gpus),
    };

    private static bool Same(AgentFacts a, AgentFacts b) => a.Attributes.SequenceEqual(b.Attributes) && a.Held.SequenceEqual(b.Held) && a with { Attributes = b.Attributes, Held = b.Held } == b;
}
