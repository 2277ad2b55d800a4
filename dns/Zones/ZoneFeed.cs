using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.Dns.Zones;

/// <summary>
/// Keeps the services, slices and pods that the zones are built from and tells <see cref="ZoneContents"/> what each change means.
/// A pod is leaving as soon as either its own deletion mark or a slice that calls it terminating has been seen, and it is withdrawn from both
/// zones then (architecture.md, decision 12).
/// </summary>
internal sealed class ZoneFeed(ZoneContents contents, ZoneNames names)
{
    private readonly Dictionary<ResourceKey, Pod> _pods = [];
    private readonly Dictionary<string, ResourceKey> _podOfUid = new(StringComparer.Ordinal);
    private readonly Dictionary<ResourceKey, Service> _services = [];
    private readonly Dictionary<ResourceKey, EndpointSlice> _slices = [];
    private readonly Dictionary<(string Namespace, string Service), SortedSet<string>> _slicesOfService = [];
    /// <summary>How many endpoints name a pod, which services they belong to, and how many call it terminating.</summary>
    private readonly Dictionary<string, Mentions> _mentions = new(StringComparer.Ordinal);
    private readonly HashSet<string> _gone = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _deleting = new(StringComparer.Ordinal);

    /// <summary>The pods that are going away with their addresses, by uid.</summary>
    public IReadOnlyList<(string Uid, string Address)> Leaving =>
        [.. _deleting.Union(_mentions.Where(m => m.Value.Terminating > 0).Select(m => m.Key)).Union(_gone)
            .Order(StringComparer.Ordinal)
            .Select(uid => (uid, _podOfUid.TryGetValue(uid, out var key) ? _pods[key].Status.PodIP : ""))];

    public IEnumerable<Pod> Pods => _pods.Values.OrderBy(p => p.Namespace, StringComparer.Ordinal).ThenBy(p => p.Name, StringComparer.Ordinal);

    /// <summary>Whether a pod is going away: marked by itself or by a slice, or gone while slices still name it.</summary>
    public bool IsLeaving(string uid) =>
        _gone.Contains(uid)
        || (_mentions.TryGetValue(uid, out var mention) && mention.Terminating > 0)
        || _deleting.Contains(uid);

    /// <summary>A pod's new state; null: it is gone.</summary>
    public void Apply(ResourceKey key, Pod? now)
    {
        var before = _pods.GetValueOrDefault(key);
        if (before is not null && before.Uid != now?.Uid)
        {
            _podOfUid.Remove(before.Uid);
            _deleting.Remove(before.Uid);
            if (_mentions.ContainsKey(before.Uid))
                _gone.Add(before.Uid);
            Refresh(before.Uid);
        }
        if (now is null)
        {
            _pods.Remove(key);
            contents.Remove("pod/" + key);
            contents.Remove("podname/" + key);
            return;
        }
        _pods[key] = now;
        _podOfUid[now.Uid] = key;
        if (now.Metadata.IsDeleting && _deleting.Add(now.Uid))
            Refresh(now.Uid);
        else
            RefreshTask(key);
    }

    /// <summary>A service's new state; null: it is gone.</summary>
    public void Apply(ResourceKey key, Service? now)
    {
        if (now is null)
        {
            _services.Remove(key);
            contents.Remove("service/" + key);
            return;
        }
        _services[key] = now;
        RefreshService(key.Namespace, key.Name);
    }

    /// <summary>A slice's new state; null: it is gone.</summary>
    public void Apply(ResourceKey key, EndpointSlice? now)
    {
        var before = _slices.GetValueOrDefault(key);
        var leavingBefore = UidsOf(before).Concat(UidsOf(now)).Distinct(StringComparer.Ordinal).ToDictionary(uid => uid, IsLeaving, StringComparer.Ordinal);
        Count(before, -1);
        Count(now, +1);
        if (before is not null && before.ServiceName != now?.ServiceName)
        {
            Index(key, before.ServiceName).Remove(key.Name);
            RefreshService(key.Namespace, before.ServiceName);
        }
        if (now is null)
        {
            _slices.Remove(key);
        }
        else
        {
            _slices[key] = now;
            Index(key, now.ServiceName).Add(key.Name);
            RefreshService(key.Namespace, now.ServiceName);
        }
        foreach (var (uid, leaving) in leavingBefore)
        {
            if (IsLeaving(uid) != leaving)
                Refresh(uid);
        }
    }

    /// <summary>Derives again all that a pod's leaving bears on: its task's names and the services whose endpoints name it.</summary>
    private void Refresh(string uid)
    {
        if (_podOfUid.TryGetValue(uid, out var key))
            RefreshTask(key);
        if (!_mentions.TryGetValue(uid, out var mention))
            return;
        foreach (var (ns, service) in mention.Services.Keys)
            RefreshService(ns, service);
    }

    private void RefreshTask(ResourceKey key)
    {
        var leaving = IsLeaving(_pods[key].Uid);
        contents.Put("pod/" + key, ZoneBuilder.OfTask(_pods[key], leaving, names));
        contents.Put("podname/" + key, ZoneBuilder.OfPod(_pods[key], leaving, names));
    }

    private void RefreshService(string ns, string name)
    {
        var key = ResourceKey.Of(Kind.Service, ns, name);
        if (!_services.TryGetValue(key, out var service))
            return;
        EndpointSlice[] own = _slicesOfService.TryGetValue((ns, name), out var sliceNames)
            ? [.. sliceNames.Select(slice => _slices[ResourceKey.Of(Kind.EndpointSlice, ns, slice)])]
            : [];
        contents.Put("service/" + key, ZoneBuilder.OfService(service, own, IsLeaving, names));
    }

    private SortedSet<string> Index(ResourceKey slice, string service)
    {
        if (!_slicesOfService.TryGetValue((slice.Namespace, service), out var all))
            _slicesOfService[(slice.Namespace, service)] = all = new SortedSet<string>(StringComparer.Ordinal);
        return all;
    }

    private static IEnumerable<string> UidsOf(EndpointSlice? slice) =>
        slice?.Endpoints.Select(e => e.TargetRef?.Uid ?? "").Where(uid => uid.Length > 0) ?? [];

    private void Count(EndpointSlice? slice, int step)
    {
        foreach (var endpoint in slice?.Endpoints ?? [])
        {
            if (endpoint.TargetRef?.Uid is not { Length: > 0 } uid)
                continue;
            if (!_mentions.TryGetValue(uid, out var mention))
                _mentions[uid] = mention = new Mentions();
            var service = (slice!.Namespace, slice.ServiceName);
            mention.Services[service] = mention.Services.GetValueOrDefault(service) + step;
            if (mention.Services[service] == 0)
                mention.Services.Remove(service);
            mention.Terminating += endpoint.Conditions.IsTerminating ? step : 0;
            if (mention.Services.Count > 0)
                continue;
            _mentions.Remove(uid);
            _gone.Remove(uid);
        }
    }

    private sealed class Mentions
    {
        public readonly Dictionary<(string Namespace, string Service), int> Services = [];
        public int Terminating;
    }
}
