using Declarative.Api.Kinds;
using Declarative.Client.Informers;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Offers;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>Mesos roles: which there are, which one a namespace's pods wait in, and the wish for offers in each: REVIVE and SUPPRESS.</summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan ReviveAfterChange = TimeSpan.FromSeconds(1);

    /// <summary>In ordinal order. A role stays until the term ends: tasks and volumes may be left in it.</summary>
    private readonly SortedDictionary<string, RoleState> _roles = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _annotatedRoles = new(StringComparer.Ordinal);

    private string RoleOf(string ns) => Options.RoleOf.GetValueOrDefault(ns) ?? _annotatedRoles.GetValueOrDefault(ns) ?? Options.Role;

    /// <summary>What a subscription says of roles. Replaced as a whole: it is read off the loop.</summary>
    private sealed record RoleWish(IReadOnlyList<string> Roles, IReadOnlyList<string> Suppressed);

    private volatile RoleWish _roleWish = new([], []);

    private RoleState State(string role)
    {
        if (_roles.TryGetValue(role, out var state)) return state;
        _roles.Add(role, state = new(role) { Suppressed = true });
        WishRoles();
        _parts.Agents.OwnRole(role);
        if (_subscribed) UpdateFramework();
        return state;
    }

    private void WishRoles() => _roleWish = new([.. _roles.Keys], [.. _roles.Values.Where(x => !x.IsWanted).Select(x => x.Name)]);

    private DateTimeOffset? RolesDue
    {
        get
        {
            DateTimeOffset? least = null;
            foreach (var state in _roles.Values) least = Earliest(least, state.ReviveDue, state.SuppressDue);
            return least;
        }
    }

    private void OnNamespace(Change<Namespace> change)
    {
        var ns = change.Object.Name;
        var before = RoleOf(ns);
        if (change.New is { } now && MesosRoles.Of(now) is { } annotated) _annotatedRoles[ns] = annotated;
        else _annotatedRoles.Remove(ns);
        var role = RoleOf(ns);
        if (change.New is not null) State(role);
        if (role == before) return;
        foreach (var record in _records.Values.Where(x => x.IsWaiting && x.Key.Namespace == ns).ToList())
        {
            StopWaiting(record);
            Step(record);
        }
    }

    /// <summary>The roles of the subscription that begins; nothing of an earlier one's wishes holds.</summary>
    private void SubscribedRoles(RoleWish said)
    {
        foreach (var state in _roles.Values)
        {
            state.Suppressed = !said.Roles.Contains(state.Name) || said.Suppressed.Contains(state.Name);
            state.ReviveDue = state.SuppressDue = null;
            state.Filter = OfferFilter.None;
        }
        if (_roles.Count > said.Roles.Count) UpdateFramework(); // roles are only ever added
    }

    /// <summary>Masters before 1.10 know no UPDATE_FRAMEWORK: they learn of roles by a new subscription.</summary>
    private void UpdateFramework()
    {
        if (_masterVersion is { } version && version < UpdatesFrameworks)
        {
            ForceResubscribe();
            return;
        }
        var call = new Call.Types.UpdateFramework { FrameworkInfo = Framework(_roles.Keys) };
        call.FrameworkInfo.Id = new() { Value = _frameworkId };
        call.SuppressedRoles.Add(_roles.Values.Where(x => x.Suppressed).Select(x => x.Name));
        foreach (var state in _roles.Values)
        {
            if (state.Filter is { Cpus: > 0 } or { Mem: > 0 }) call.FrameworkInfo.OfferFilters[state.Name] = state.Filter.ToFilters();
            if (state.Filter.Groups.Count == 0) continue;
            call.OfferConstraints ??= new();
            call.OfferConstraints.RoleConstraints[state.Name] = state.Filter.ToConstraints();
        }
        Send(new() { Type = Call.Types.Type.UpdateFramework, UpdateFramework = call }, end =>
        {
            if (end is CallEnd.Taken) return;
            if (end is CallEnd.Refused) _filtersRefused = true; // a new subscription has none
            ForceResubscribe();
        });
        Count("framework-updates");
    }

    private static readonly Version UpdatesFrameworks = new(1, 10);
    private static readonly Version FiltersOffers = new(1, 11);

    /// <summary>Offers that fit nothing are worth a word to the master only when pods have waited for so long; said this often at most.</summary>
    private static readonly TimeSpan NarrowAfter = TimeSpan.FromSeconds(10);

    private bool _filtersRefused;

    /// <summary>null where the master says none that can be read.</summary>
    private Version? _masterVersion;

    private void OnMasterVersion(string text) => _masterVersion = Version.TryParse(text.Split('-', '+')[0], out var version) ? version : null;

    /// <summary>What waits has waited for long: offers that none of it can use need not be made.</summary>
    private void Narrow(RoleState state, DateTimeOffset now)
    {
        if (!_subscribed || state.Waiting == 0 || state.FilterNext > now || _filtersRefused || _masterVersion is not { } version || version < FiltersOffers) return;
        state.FilterNext = now + NarrowAfter;
        var classes = new Dictionary<string, WaitingPod>(StringComparer.Ordinal);
        foreach (var record in _waiting)
        {
            if (record.Role != state.Name) continue;
            if (record.WaitingSince + NarrowAfter > now) return;
            classes.TryAdd(record.Waiting!.Class, record.Waiting);
            if (classes.Count > RefusalClassesMax) return;
        }
        // Volumes want every offer of their agents, and so do pods whose agent is fixed.
        Filter(state, WantsForVolumes(state.Name) || classes.Count == 0 ? OfferFilter.None : OfferFilter.Of(classes.Values));
    }

    /// <summary>At once: something that the filter was not made for wants offers.</summary>
    private void Widen(RoleState state, WaitingPod pod)
    {
        if (state.Filter.IsNone || !_subscribed) return;
        if (state.Filter.Groups.Count == 0 && pod.Demand.Total.Cpus >= state.Filter.Cpus && pod.Demand.Total.Mem >= state.Filter.Mem) return;
        Filter(state, OfferFilter.None);
    }

    private void Filter(RoleState state, OfferFilter filter)
    {
        if (filter.Key == state.Filter.Key) return;
        state.Filter = filter;
        UpdateFramework();
        Count(filter.IsNone ? "offers-widened" : "offers-narrowed");
    }

    private List<string> WaitingRoles() => [.. _roles.Values.Where(x => x.Waiting > 0).Select(x => x.Name)];

    private bool Wants(RoleState state) => state.Waiting > 0 || WantsForVolumes(state.Name);

    /// <summary>Something has changed that offers were refused for: what waits wants to see them again.</summary>
    private void LookAgain()
    {
        if (!_subscribed) return;
        var due = Now + ReviveAfterChange;
        foreach (var state in _roles.Values)
        {
            if (state.Waiting > 0) state.LookAgain(due);
        }
    }

    private void ReviveOrSuppress(DateTimeOffset now)
    {
        var changed = false;
        foreach (var state in _roles.Values)
        {
            var wanted = Wants(state);
            changed |= wanted != state.IsWanted;
            state.IsWanted = wanted;
            Narrow(state, now);
            ReviveOrSuppress(state, now);
        }
        if (changed) WishRoles();
    }

    private void ReviveOrSuppress(RoleState state, DateTimeOffset now)
    {
        var wants = state.IsWanted;
        if (!_subscribed || wants || state.Suppressed) state.SuppressDue = null;
        if (!_subscribed || !wants) state.ReviveDue = null;
        if (!_subscribed) return;
        if (wants)
        {
            if (state.Suppressed) Revive(state, now);
            else if (_launches.Exists(x => !x.Accepted && x.Role == state.Name)) state.ReviveDue = null; // what comes back of these is matched first
            else if (state.ReviveDue is { } due && due <= now) Revive(state, now);
            else state.Await(now); // what it wants may lie behind our own filters, or in a remainder that is offered only with the master's next round
            return;
        }
        if (state.Suppressed) return;
        state.SuppressDue ??= now + SuppressAfter;
        if (state.SuppressDue > now) return;
        state.SuppressDue = null;
        state.Suppressed = true;
        var suppress = new Call.Types.Suppress();
        if (_roles.Count > 1) suppress.Roles.Add(state.Name);
        Send(new() { Type = Call.Types.Type.Suppress, Suppress = suppress });
        Count("suppresses");
    }

    private void Revive(RoleState state, DateTimeOffset now)
    {
        var revive = new Call.Types.Revive();
        if (_roles.Count > 1) revive.Roles.Add(state.Name);
        Send(new() { Type = Call.Types.Type.Revive, Revive = revive });
        Count("revives");
        state.Revived(now);
    }
}
