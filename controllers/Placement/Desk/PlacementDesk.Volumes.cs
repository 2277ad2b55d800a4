using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Client.Informers;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Nodes;
using Declarative.Controllers.Placement.Matching;
using Declarative.Controllers.Placement.Offers;
using Declarative.Controllers.Placement.Volumes;
using Declarative.Controllers.Volumes;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Operation = Declarative.Mesos.Protocol.Offer.Types.Operation;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>
/// What PersistentVolumes ask of Mesos: RESERVE and CREATE, GROW_VOLUME, DESTROY and UNRESERVE. The PersistentVolume is the intent that stands
/// before, and shows the end after, the operation; its status is acknowledged when that is stored. What offers show counts for more than what was
/// heard of operations: an operation is made only of what is offered, and one of which nothing was heard is judged by the next offers.
/// </summary>
internal sealed partial class PlacementDesk
{
    private static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan OperateAgainFirst = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan OperateAgainMax = TimeSpan.FromMinutes(1);

    /// <summary>A volume that could not be made for so long is made elsewhere.</summary>
    private static readonly TimeSpan CreateMax = TimeSpan.FromSeconds(60);

    /// <summary>
    /// An offer that has come so long after the last answer to an earlier one shows everything of the agent that is free: a master offers all that it
    /// has. What is not in it is not there, unless a task has it.
    /// </summary>
    private static readonly TimeSpan OfferIsWhole = TimeSpan.FromSeconds(2);

    private readonly SortedDictionary<string, VolumeWish> _wishes = new(StringComparer.Ordinal);
    private DateTimeOffset? _wishesDue;
    private long _operations;

    private void OnVolume(Change<PersistentVolume> change)
    {
        var volume = change.Object;
        if (change.New is null) _volumes.Remove(volume);
        else _volumes.Put(volume);
        VolumeChanged(volume.Name);
        if (volume.Spec.ClaimRef is { } claim) StepUsers(claim.Namespace, claim.Name);
    }

    private void VolumeChanged(string name)
    {
        var volume = _volumes.Volume(name);
        if (volume is null || WishOf(volume) is not { } kind)
        {
            _wishes.Remove(name);
            return;
        }
        if (!_wishes.TryGetValue(name, out var wish) || wish.Kind != kind || wish.Volume.Uid != volume.Uid) _wishes[name] = new(volume, kind, Now);
        else wish.Volume = volume;
        var state = State(VolumeRole(volume));
        if (!state.Filter.IsNone && !IsMissing(_wishes[name])) Filter(state, OfferFilter.None);
    }

    /// <summary>What is to be done at Mesos for the volume as it is stored; null = nothing.</summary>
    private WishKind? WishOf(PersistentVolume volume)
    {
        if (!MesosVolume.IsOurs(volume)) return null;
        if (volume.Metadata.IsDeleting) return volume.Metadata.Finalizers.Contains(MesosVolume.Finalizer) && !volume.Metadata.Finalizers.Contains(MesosVolume.VolumeProtection) ? WishKind.Destroy : null;
        if (!MesosVolume.IsCreated(volume)) return WishKind.Create;
        if (PresentAgentOf(volume) is var present && present != MesosVolume.AgentOf(volume)) return WishKind.Move;
        return MesosVolume.WantedOf(volume) > volume.Storage ? WishKind.Grow : null;
    }

    /// <summary>The volume's agent, or what its node is now where that has left: a machine that registers under another id keeps its volumes.</summary>
    private string PresentAgentOf(PersistentVolume volume)
    {
        var agent = MesosVolume.AgentOf(volume);
        return !IsThere(agent) && _agentOfNode.TryGetValue(MesosVolume.NodeOf(volume), out var present) && IsThere(present) ? present : agent;
    }

    /// <summary>Where the wish is fulfilled. What was not made yet is never made under another id: its claim gets another volume.</summary>
    private string AgentOf(VolumeWish wish) => wish.Kind is WishKind.Move or WishKind.Destroy ? PresentAgentOf(wish.Volume) : MesosVolume.AgentOf(wish.Volume);

    /// <summary>
    /// The agent has offered all that it has, and not the volume: nothing is asked for on its account any more. Should an offer that comes for others
    /// show it after all, it is there again: what was offered first is no proof.
    /// </summary>
    private bool IsMissing(VolumeWish wish) => wish.Kind is WishKind.Move && MesosVolume.MissingOnOf(wish.Volume) == AgentOf(wish);

    /// <summary>The volumes of a node may be there under another agent id, or again.</summary>
    private void OnNodeOfVolumes(Change<Node> change)
    {
        if (change.Old is { } old && change.New is { } node && NodePlan.AgentId(old) == NodePlan.AgentId(node) && NodePlan.IsGone(old) == NodePlan.IsGone(node)) return;
        foreach (var volume in _volumes.OfNode(change.Object.Name))
        {
            VolumeChanged(volume.Name);
            if (volume.Spec.ClaimRef is { } claim) StepUsers(claim.Namespace, claim.Name);
        }
    }

    /// <summary>Nothing can be grown while a pod has it, and nothing is asked of an agent that is not there.</summary>
    private bool WantsForVolumes(string role)
    {
        foreach (var wish in _wishes.Values)
        {
            if (!wish.IsBusy && VolumeRole(wish.Volume) == role && IsThere(AgentOf(wish)) && !IsMissing(wish) && (wish.Kind is WishKind.Move || !IsInUse(wish.Volume))) return true;
        }
        return false;
    }

    private bool IsWished(HeldOffer offer)
    {
        foreach (var wish in _wishes.Values)
        {
            if (AgentOf(wish) == offer.AgentId && VolumeRole(wish.Volume) == offer.Role && !IsMissing(wish)) return true;
        }
        return false;
    }

    /// <summary>These offers are answered: what they show of a volume may be missing in an offer that is on its way.</summary>
    private void Touch(IReadOnlyList<HeldOffer> offers)
    {
        if (_wishes.Count == 0) return;
        foreach (var offer in offers.Where(x => x.OfVolumes.Count > 0))
        {
            foreach (var wish in _wishes.Values)
            {
                if (AgentOf(wish) == offer.AgentId && offer.OfVolumes.Any(x => IsFound(x, wish.Volume) || IsLeft(x, wish.Volume))) wish.TouchedAt = Now;
            }
        }
    }

    private void ForgetOperations()
    {
        foreach (var wish in _wishes.Values) wish.AnswerDue = wish.TouchedAt = null; // the next offers show what became of it
    }

    /// <summary>Brings every volume that is not as it is to be one step further, as far as offers allow.</summary>
    private void Operate(DateTimeOffset now)
    {
        _wishesDue = null;
        if (_wishes.Count == 0 || !_subscribed || !_identityStored) return;
        foreach (var wish in _wishes.Values.ToList())
        {
            if (wish.IsStoring) continue;
            if (wish.AnswerDue is { } due)
            {
                if (due <= now) Ask(wish, now);
            }
            else if (wish.NotBefore is not { } later || later <= now)
            {
                Operate(wish, now);
            }
            var giveUp = wish.Kind is WishKind.Create && wish.Since + CreateMax > now ? wish.Since + CreateMax : (DateTimeOffset?)null;
            _wishesDue = Earliest(_wishesDue, wish.AnswerDue, wish.NotBefore > now ? wish.NotBefore : null, giveUp);
        }
    }

    private void Operate(VolumeWish wish, DateTimeOffset now)
    {
        var volume = wish.Volume;
        var (agent, role) = (AgentOf(wish), VolumeRole(volume));
        if (wish.Kind is WishKind.Destroy && (!IsThere(agent) || Keeps(volume) || !MesosVolume.WasAsked(volume)))
        {
            EndVolume(wish, kept: Keeps(volume));
            return;
        }
        if (_book.Agent(agent, role) is not { } held || !IsThere(agent))
        {
            GiveUpCreating(wish, now);
            return;
        }
        var id = volume.Spec.Csi!.VolumeHandle;
        var claim = volume.Spec.ClaimRef?.Uid ?? "";
        var found = held.OfVolumes.FirstOrDefault(x => IsFound(x, volume));
        var left = held.OfVolumes.FirstOrDefault(x => IsLeft(x, volume));
        var owner = new VolumeOwner(Options.FrameworkName, Options.Principal, role, MesosVolume.IsShared(volume));
        var plain = held.Offers.Sum(x => x.PlainDisk);
        var reserved = held.Offers.SelectMany(x => x.Reserved);
        switch (wish.Kind)
        {
            case WishKind.Create when found is not null:
                StoreCreated(wish, role, null);
                break;
            case WishKind.Create:
                var size = Amounts.MiB(volume.Storage.Value);
                var name = Name(wish, size);
                var create = VolumeResources.Create(name, id, claim, size, owner, plain, reserved, held.OfVolumes);
                if (create is not null && MesosVolume.WasAsked(volume)) Send(wish, held, name, create, now);
                else if (create is not null) StoreAsked(wish, role);
                else NoRoom(wish, $"{_nodes[agent].Name} offers {Amounts.Text(plain)} MiB of disk in one piece, {Amounts.Text(size)} are needed", now);
                break;
            case WishKind.Grow when found is not null:
                var wanted = Amounts.MiB(MesosVolume.WantedOf(volume).Value);
                if (VolumeResources.MilliOf(found) >= wanted)
                {
                    StoreSize(wish, MesosVolume.WantedOf(volume), null);
                    break;
                }
                var growth = Name(wish, wanted);
                if (VolumeResources.Grow(growth, found, wanted, owner, plain, reserved, held.OfVolumes) is { } grow) Send(wish, held, growth, grow, now);
                else NoRoom(wish, $"{_nodes[agent].Name} offers {Amounts.Text(plain)} MiB of disk, {Amounts.Text(wanted - VolumeResources.MilliOf(found))} more are needed", now);
                break;
            case WishKind.Move when found is not null:
                StoreAgent(wish, agent);
                break;
            case WishKind.Move when !IsMissing(wish) && IsWhole(held, wish):
                StoreMissing(wish, agent);
                break;
            case WishKind.Destroy when found is not null:
                var end = Name(wish, 0);
                IEnumerable<Operation> rest = left is null ? [] : [VolumeResources.Unreserve(left)];
                Send(wish, held, end, [.. VolumeResources.Destroy(end, found), .. rest], now);
                break;
            case WishKind.Destroy when left is not null:
                Send(wish, held, "", [VolumeResources.Unreserve(left)], now);
                break;
            case WishKind.Destroy when IsInUse(volume):
                wish.TouchedAt = now; // no offer from before its end counts
                break;
            case WishKind.Destroy when IsWhole(held, wish):
                EndVolume(wish, kept: false);
                break;
        }
        GiveUpCreating(wish, now);
    }

    /// <summary>Whoever deletes a retained volume gives up the record of it, not the data (Kubernetes: reclaim policy Retain).</summary>
    private static bool Keeps(PersistentVolume volume) => volume.Spec.PersistentVolumeReclaimPolicy != "Delete" && MesosVolume.IsCreated(volume);

    private static bool IsFound(Resource offered, PersistentVolume volume) => offered.Disk?.Persistence is { } persistence && persistence.Id == volume.Spec.Csi!.VolumeHandle;

    /// <summary>Reserved for the volume's claim, and no volume (any more).</summary>
    private bool IsLeft(Resource offered, PersistentVolume volume) =>
        offered.Disk?.Persistence is null && VolumeResources.ClaimOf(offered) == (volume.Spec.ClaimRef?.Uid ?? "") && VolumeResources.FrameworkOf(offered) == Options.FrameworkName;

    private bool IsWhole(HeldAgent held, VolumeWish wish)
    {
        var touched = wish.TouchedAt is { } at && at > wish.Since ? at : wish.Since;
        return held.Offers.Exists(x => x.Since >= touched + OfferIsWhole) && !_launches.Exists(x => x.AgentId == held.AgentId);
    }

    private string Name(VolumeWish wish, long size) =>
        new OperationName(wish.Volume.Name, wish.Volume.Uid, wish.Kind, size).With($"{_parts.Random.Next().ToString("x8", CultureInfo.InvariantCulture)}{(++_operations).ToString(CultureInfo.InvariantCulture)}");

    private void Send(VolumeWish wish, HeldAgent held, string operation, IReadOnlyList<Operation> operations, DateTimeOffset now)
    {
        var offers = _book.TakeAgent(held.AgentId, held.Role);
        var accept = new Call.Types.Accept { Filters = new() { RefuseSeconds = 0 } };
        foreach (var offer in offers) accept.OfferIds.Add(new OfferID { Value = offer.Id });
        accept.Operations.Add(operations);
        Touch(offers);
        wish.Operation = operation;
        // What has no id has no status either: the next offers show it.
        if (operation.Length > 0) wish.AnswerDue = now + AnswerMax;
        else wish.NotBefore = now + OperateAgainFirst;
        wish.IsAsked = false;
        State(held.Role).LookAgain(now + TimeSpan.FromMilliseconds(50));
        Send(new() { Type = Call.Types.Type.Accept, Accept = accept }, end =>
        {
            if (end is CallEnd.Unknown) ForceResubscribe();
            else if (end is CallEnd.Refused && wish.Operation == operation) Failed(wish, "the master has refused the offers' acceptance");
        });
        Count("volume-" + wish.Kind.ToString().ToLowerInvariant());
    }

    /// <summary>Nothing was heard of an operation: first the master is asked, then the next offers.</summary>
    private void Ask(VolumeWish wish, DateTimeOffset now)
    {
        if (wish.IsAsked)
        {
            wish.AnswerDue = null;
            return;
        }
        wish.IsAsked = true;
        wish.AnswerDue = now + AnswerMax;
        var call = new Call.Types.ReconcileOperations();
        call.Operations.Add(new Call.Types.ReconcileOperations.Types.Operation { OperationId = new() { Value = wish.Operation }, AgentId = new() { Value = AgentOf(wish) } });
        Send(new() { Type = Call.Types.Type.ReconcileOperations, ReconcileOperations = call });
        Count("operations-asked");
    }

    private void OnOperation(OperationStatus status)
    {
        Count("operation-updates");
        var id = status.OperationId?.Value ?? "";
        if (OperationName.Parse(id) is not { } name || !_wishes.TryGetValue(name.Volume, out var wish) || wish.Kind != name.Kind || wish.Volume.Uid != name.Uid
            || (status.AgentId is { } agent && agent.Value != AgentOf(wish)) || (name.Kind is WishKind.Grow && name.Size < Amounts.MiB(wish.Volume.Storage.Value)))
        {
            AcknowledgeOperation(status); // its end is stored, or its volume is nobody's any more, or another one of the name
            return;
        }
        if (wish.IsStoring) return; // it is being stored; should that fail, the status comes again
        switch (status.State)
        {
            case OperationState.OperationFinished:
                wish.AnswerDue = null;
                if (name.Kind is WishKind.Create) StoreCreated(wish, VolumeRole(wish.Volume), status);
                else if (name.Kind is WishKind.Grow) StoreSize(wish, Grown(wish.Volume, name.Size), status);
                else AcknowledgeOperation(status); // UNRESERVE has no status: the next offers show whether something is left
                break;
            case OperationState.OperationPending or OperationState.OperationRecovering or OperationState.OperationUnreachable:
                break;
            default:
                AcknowledgeOperation(status);
                if (wish.Operation == id) Failed(wish, status.Message.Length > 0 ? status.Message : $"the operation ended as {status.State}");
                break;
        }
    }

    /// <summary>The size that was asked for where that is what was made; else what was made, in whole thousandths of MiB.</summary>
    private static Quantity Grown(PersistentVolume volume, long size) =>
        MesosVolume.WantedOf(volume) is var wanted && Amounts.MiB(wanted.Value) <= size ? wanted : Quantity.FromBytes((long)((Int128)size * (1 << 20) / 1000));

    private void Failed(VolumeWish wish, string why)
    {
        wish.AnswerDue = null;
        wish.NotBefore = Now + Client.Backoff.Exponential(OperateAgainFirst, OperateAgainMax, wish.Failures++);
        Waits(wish, why);
        Count("operations-failed");
    }

    private void NoRoom(VolumeWish wish, string why, DateTimeOffset now)
    {
        wish.NotBefore = now + OperateAgainFirst;
        Waits(wish, why);
    }

    /// <summary>In an event and an annotation of the volume, from where the claim and its pods say it.</summary>
    private void Waits(VolumeWish wish, string why)
    {
        if (wish.Told == why) return;
        wish.Told = why;
        _parts.Events.Record(new(Body.Reference(Kind.PersistentVolume, wish.Volume), "Warning", $"{wish.Kind}Waits", why));
        WriteVolume(wish, meta => meta.Object("annotations", x => x.WriteString(MesosVolume.Waits, why)), _ => { });
    }

    /// <summary>The agent has had no room for it for long, or is away: its claim is given back, and the volume made elsewhere.</summary>
    private void GiveUpCreating(VolumeWish wish, DateTimeOffset now)
    {
        if (wish.Kind is not WishKind.Create || wish.IsBusy || now < wish.Since + CreateMax) return;
        if (wish.Volume.Spec.ClaimRef is not { } of || _volumes.Claim(of.Namespace, of.Name) is not { } claim || claim.Uid != of.Uid) return;
        if (!claim.Metadata.Annotations.ContainsKey(MesosVolume.SelectedNode) || _volumes.Selecting.Contains(VolumeBook.Key(of.Namespace, of.Name))) return;
        Count("nodes-unselected");
        Select(claim, null);
    }

    /// <summary>Before anything is asked of Mesos: in which role, and that from now on only Mesos' offers say that there is nothing of it.</summary>
    private void StoreAsked(VolumeWish wish, string role)
    {
        wish.IsStoring = true;
        WriteVolume(wish, meta => meta.Object("annotations", x =>
        {
            x.WriteString(MesosVolume.State, MesosVolume.Asked);
            x.WriteString(MesosRoles.Annotation, role);
        }), stored => StoredEnd(wish, stored, null, "volumes-asked"));
    }

    private void StoreCreated(VolumeWish wish, string role, OperationStatus? status)
    {
        wish.IsStoring = true;
        WriteVolume(wish, meta => meta.Object("annotations", x =>
        {
            x.WriteString(MesosVolume.State, MesosVolume.Created);
            x.WriteString(MesosRoles.Annotation, role);
            x.WriteNull(MesosVolume.Waits);
        }), stored => StoredEnd(wish, stored, status, "volumes-created"));
    }

    private void StoreAgent(VolumeWish wish, string agent)
    {
        wish.IsStoring = true;
        _parts.Events.Record(new(Body.Reference(Kind.PersistentVolume, wish.Volume), "Normal", "AgentChanged", $"the volume is there under agent id {agent}; the former one was {MesosVolume.AgentOf(wish.Volume)}"));
        WriteVolume(wish, meta => meta.Object("annotations", x =>
        {
            x.WriteString(MesosVolume.MovedTo, agent);
            x.WriteNull(MesosVolume.MissingOn);
        }), stored => StoredEnd(wish, stored, null, "volumes-moved"));
    }

    /// <summary>The machine is back and has been wiped: its claim is lost, until it is offered after all.</summary>
    private void StoreMissing(VolumeWish wish, string agent)
    {
        wish.IsStoring = true;
        _parts.Events.Record(new(Body.Reference(Kind.PersistentVolume, wish.Volume), "Warning", "VolumeMissing", $"agent {agent}, as which the machine of agent {MesosVolume.AgentOf(wish.Volume)} has registered, does not have the volume"));
        WriteVolume(wish, meta => meta.Object("annotations", x => x.WriteString(MesosVolume.MissingOn, agent)), stored => StoredEnd(wish, stored, null, "volumes-missing"));
    }

    private void StoreSize(VolumeWish wish, Quantity size, OperationStatus? status)
    {
        wish.IsStoring = true;
        WriteVolume(wish, meta => meta.Object("annotations", x => x.WriteNull(MesosVolume.Waits)), stored => StoredEnd(wish, stored, status, "volumes-grown"),
            json => json.Object("spec", x => x.Map("capacity", [new("storage", size.ToString())])));
    }

    /// <summary>Mesos has no more of it than is to stay: nothing keeps the object.</summary>
    private void EndVolume(VolumeWish wish, bool kept)
    {
        wish.IsStoring = true;
        if (kept) _parts.Events.Record(new(Body.Reference(Kind.PersistentVolume, wish.Volume), "Warning", "VolumeKept", $"reclaim policy Retain: volume {wish.Volume.Spec.Csi!.VolumeHandle} stays on agent {MesosVolume.AgentOf(wish.Volume)}"));
        var metadata = wish.Volume.Metadata;
        WriteVolume(wish, meta =>
        {
            meta.WriteString("resourceVersion"u8, metadata.ResourceVersion);
            meta.Strings("finalizers", metadata.Finalizers.Where(x => x != MesosVolume.Finalizer));
        }, stored => StoredEnd(wish, stored, null, kept ? "volumes-kept" : "volumes-destroyed"));
    }

    private void StoredEnd(VolumeWish wish, Stored? stored, OperationStatus? status, string count)
    {
        wish.IsStoring = false;
        if (stored is null)
        {
            // The status comes again, and so do offers.
            wish.NotBefore = Now + OperateAgainFirst;
            return;
        }
        if (status is not null) AcknowledgeOperation(status);
        Count(count);
        var volume = PersistentVolume.Read(stored.Json);
        if (volume.Metadata.IsDeleting && volume.Metadata.Finalizers.Count == 0) _volumes.Remove(volume);
        else _volumes.Put(volume);
        VolumeChanged(volume.Name);
        if (volume.Spec.ClaimRef is { } claim) StepUsers(claim.Namespace, claim.Name);
    }

    private void WriteVolume(VolumeWish wish, Action<Utf8JsonWriter> metadata, Action<Stored?> then, Action<Utf8JsonWriter>? more = null) =>
        WriteStored(ResourceKey.Of(Kind.PersistentVolume, "", wish.Volume.Name), Body.Of(json =>
        {
            json.Object("metadata", x =>
            {
                x.WriteString("uid"u8, wish.Volume.Uid);
                metadata(x);
            });
            more?.Invoke(json);
        }), then);

    private void AcknowledgeOperation(OperationStatus status)
    {
        // Statuses made by the master itself carry no uuid.
        if (status.Uuid is not { Value.Length: > 0 } uuid || status.OperationId is null) return;
        var acknowledge = new Call.Types.AcknowledgeOperationStatus { Uuid = uuid.Value, OperationId = status.OperationId };
        if (status.AgentId is { } agent) acknowledge.AgentId = agent;
        if (status.ResourceProviderId is { } provider) acknowledge.ResourceProviderId = provider;
        Count("operations-acknowledged");
        Send(new() { Type = Call.Types.Type.AcknowledgeOperationStatus, AcknowledgeOperationStatus = acknowledge });
    }
}
