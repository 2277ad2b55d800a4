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
    private sealed record RoleWish(IReadOnlyList<string> Roles, IReadOnlyList<string> Suppressed)
    {
        /// <summary>Those of the roles that a master has taken in this term, or that the options name.</summary>
        public IReadOnlyList<string> Confirmed { get; init; } = [];
        public IReadOnlyList<string> OfOptions { get; init; } = [];

        /// <summary>Why it does not say all roles; "" = it does.</summary>
        public string Refusal { get; init; } = "";

        /// <summary>A master refuses a subscription as a whole for one role: after a refusal it has the confirmed roles only, after more those of the options.</summary>
        public RoleWish After(int refusals, string refusal)
        {
            if (refusals == 0) return this;
            var roles = refusals == 1 ? Confirmed : OfOptions;
            return this with { Roles = roles, Suppressed = [.. Suppressed.Intersect(roles)], Refusal = refusal };
        }
    }

    private volatile RoleWish _roleWish = new([], []);

    /// <summary>The role that a call on its way adds.</summary>
    private RoleState? _adding;

    private RoleState State(string role)
    {
        if (_roles.TryGetValue(role, out var state)) return state;
        _roles.Add(role, state = new(role) { Suppressed = true });
        WishRoles();
        _parts.Agents.OwnRole(role);
        if (_subscribed) AddRole();
        return state;
    }

    private void WishRoles()
    {
        var wished = _roles.Values.Where(x => x.Refusal.Length == 0).ToList();
        bool IsOfOptions(RoleState state) => state.Name == Options.Role || Options.RoleOf.Values.Contains(state.Name);
        _roleWish = new([.. wished.Select(x => x.Name)], [.. wished.Where(x => !x.IsWanted).Select(x => x.Name)])
        {
            Confirmed = [.. wished.Where(x => x.IsConfirmed || IsOfOptions(x)).Select(x => x.Name)],
            OfOptions = [.. wished.Where(IsOfOptions).Select(x => x.Name)],
        };
    }

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
        var isNew = change.New is not null && _namespaces.Add(ns);
        if (change.New is null) _namespaces.Remove(ns);
        if (change.New is { } now && MesosRoles.Of(now) is { } annotated) _annotatedRoles[ns] = annotated;
        else _annotatedRoles.Remove(ns);
        var role = RoleOf(ns);
        if (change.New is not null) State(role);
        if (role == before && !isNew) return;
        foreach (var record in _records.Values.Where(x => x.Key.Namespace == ns && !x.MayLive && (role != before || !x.IsWaiting)).ToList())
        {
            StopWaiting(record);
            Guarded(record);
        }
    }

    /// <summary>Namespaces come by another watch than pods: a pod may be seen before the one that names its role.</summary>
    private static readonly TimeSpan NamespaceWait = TimeSpan.FromSeconds(2);
    private readonly HashSet<string> _namespaces = new(StringComparer.Ordinal);

    /// <summary>The role that the pod is to wait in is not known yet, or the master refuses it.</summary>
    private bool LacksRole(PodRecord record, DateTimeOffset now)
    {
        var ns = record.Key.Namespace;
        if (!Options.RoleOf.ContainsKey(ns) && !_namespaces.Contains(ns))
        {
            record.NamespaceDue ??= now + NamespaceWait;
            if (record.NamespaceDue > now)
            {
                _agenda.Add(record, record.NamespaceDue.Value);
                return true;
            }
        }
        record.Role = RoleOf(ns);
        if (State(record.Role).Refusal is not { Length: > 0 } refusal) return false;
        var text = $"the master refuses Mesos role {record.Role} of namespace {ns}: {refusal}; allow it there, or change the namespace's annotation {MesosRoles.Annotation}";
        if (record.Phase is LaunchPhase.None && record.Pod.Spec.NodeName.Length == 0 && record.Unschedulable != text)
        {
            record.Unschedulable = text;
            Tell(record, warning: true, "FailedScheduling", text);
        }
        return true;
    }

    /// <summary>The roles of the subscription that begins; nothing of an earlier one's wishes holds.</summary>
    private void SubscribedRoles(RoleWish said)
    {
        foreach (var state in _roles.Values)
        {
            state.IsTold = said.Roles.Contains(state.Name);
            state.IsConfirmed |= state.IsTold;
            state.Suppressed = !state.IsTold || said.Suppressed.Contains(state.Name);
            state.ReviveDue = state.SuppressDue = null;
            state.Filter = OfferFilter.None;
        }
        _adding = null;
        foreach (var state in _roles.Values.ToList())
        {
            var refusal = state.IsTold || UpdatesFramework ? "" : said.Refusal; // what another master refused, this one may take
            if (state.Refusal != refusal) Refuse(state, refusal);
        }
        WishRoles();
        AddRole();
    }

    /// <summary>
    /// Roles are added one by one and without filters, so that a refusal has one cause. Masters before 1.10 know no UPDATE_FRAMEWORK: they learn
    /// of roles by a new subscription.
    /// </summary>
    private void AddRole()
    {
        if (_adding is not null || _roles.Values.FirstOrDefault(x => !x.IsTold && x.Refusal.Length == 0) is not { } added) return;
        if (!UpdatesFramework)
        {
            ForceResubscribe();
            return;
        }
        _adding = added;
        added.IsTold = true;
        foreach (var state in _roles.Values) state.Filter = OfferFilter.None;
        UpdateFramework(added);
    }

    /// <summary>The pods of the role's namespaces are blocked, or wait again where the refusal is "".</summary>
    private void Refuse(RoleState state, string refusal)
    {
        state.Refusal = refusal;
        foreach (var record in _records.Values.Where(x => x.Role == state.Name && !x.MayLive).ToList())
        {
            StopWaiting(record);
            Guarded(record);
        }
    }

    private void UpdateFramework(RoleState? added = null)
    {
        var told = _roles.Values.Where(x => x.IsTold).ToList();
        var call = new Call.Types.UpdateFramework { FrameworkInfo = Framework(told.Select(x => x.Name)) };
        call.FrameworkInfo.Id = new() { Value = _frameworkId };
        call.SuppressedRoles.Add(told.Where(x => x.Suppressed).Select(x => x.Name));
        foreach (var state in told)
        {
            if (state.Filter is { Cpus: > 0 } or { Mem: > 0 }) call.FrameworkInfo.OfferFilters[state.Name] = state.Filter.ToFilters();
            if (state.Filter.Groups.Count == 0) continue;
            call.OfferConstraints ??= new();
            call.OfferConstraints.RoleConstraints[state.Name] = state.Filter.ToConstraints();
        }
        var epoch = _epoch;
        _calls.Send(new() { Type = Call.Types.Type.UpdateFramework, FrameworkId = call.FrameworkInfo.Id, UpdateFramework = call }, (end, why) =>
        {
            if (epoch != _epoch || end is CallEnd.NotSent) return; // the next subscription says all roles
            if (end is CallEnd.Unknown) ForceResubscribe();
            else if (added is not null) Added(added, end is CallEnd.Taken ? "" : why.Length > 0 ? why : "it gives no reason");
            else if (end is CallEnd.Refused && told.TrueForAll(x => x.IsTold)) OnUpdateRefused(call); // else it was refused for a role that is taken out by now
        });
        Count("framework-updates");
    }

    private void Added(RoleState state, string refusal)
    {
        _adding = null;
        state.IsConfirmed |= refusal.Length == 0;
        if (refusal.Length > 0)
        {
            state.IsTold = false;
            state.Suppressed = true;
            Refuse(state, refusal);
            UpdateFramework();
            Count("roles-refused");
        }
        WishRoles();
        AddRole();
    }

    /// <summary>The subscription stands as it was; what the master does not take is not said again in this term.</summary>
    private void OnUpdateRefused(Call.Types.UpdateFramework call)
    {
        if (call.OfferConstraints is not null)
        {
            if (_constraintsRefused) return;
            _constraintsRefused = true;
            foreach (var state in _roles.Values) state.Filter = state.Filter with { Groups = [] };
            UpdateFramework();
        }
        else if (call.FrameworkInfo.OfferFilters.Count > 0)
        {
            if (_filtersRefused) return;
            _filtersRefused = true;
            foreach (var state in _roles.Values) state.Filter = OfferFilter.None;
            UpdateFramework();
        }
        else
        {
            ForceResubscribe();
        }
    }

    private bool UpdatesFramework => _masterVersion is not { } version || version >= UpdatesFrameworks;
    private static readonly Version UpdatesFrameworks = new(1, 10);
    private static readonly Version FiltersOffers = new(1, 11);

    /// <summary>Offers that fit nothing are worth a word to the master only when pods have waited for so long; said this often at most.</summary>
    private static readonly TimeSpan NarrowAfter = TimeSpan.FromSeconds(10);

    private bool _filtersRefused;
    private bool _constraintsRefused;

    /// <summary>null where the master says none that can be read.</summary>
    private Version? _masterVersion;

    private void OnMasterVersion(string text) => _masterVersion = Version.TryParse(text.Split('-', '+')[0], out var version) ? version : null;

    /// <summary>What waits has waited for long: offers that none of it can use need not be made.</summary>
    private void Narrow(RoleState state, DateTimeOffset now)
    {
        if (!_subscribed || !state.IsTold) return;
        if (!state.Filter.IsNone && WantsForVolumes(state.Name)) // these want every offer of their agents
        {
            Filter(state, OfferFilter.None);
            return;
        }
        if (state.Waiting == 0 || state.FilterNext > now || _filtersRefused || _masterVersion is not { } version || version < FiltersOffers) return;
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
        var filter = WantsForVolumes(state.Name) || classes.Count == 0 ? OfferFilter.None : OfferFilter.Of(classes.Values);
        Filter(state, _constraintsRefused ? filter with { Groups = [] } : filter);
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
        var isTold = _subscribed && state.IsTold;
        if (!isTold || wants || state.Suppressed) state.SuppressDue = null;
        if (!isTold || !wants) state.ReviveDue = null;
        if (!isTold) return;
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
