using System.Globalization;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Client.Reconcile;
using Declarative.Controllers.Workloads;

namespace Declarative.Controllers.Deployments;

/// <summary>The state that the steps of one plan share: the Deployment, its sets, the bounds of the roll-out and the changes so far.</summary>
internal sealed class Rollout
{
    private readonly TemplateJson _template;
    private readonly byte[] _canonical;

    public Rollout(Deployment deployment, TemplateJson template, IReadOnlyList<OwnedSet> sets, DateTimeOffset now)
    {
        Deployment = deployment;
        Now = now;
        _template = template;
        _canonical = template.Canonical();
        // The oldest set with this template is the current one, whatever its revision (a roll-back makes an old one current).
        var byAge = sets.OrderBy(x => x.Set.Metadata.CreationTimestamp ?? DateTimeOffset.MaxValue).ThenBy(x => x.Name, StringComparer.Ordinal).ToList();
        New = byAge.FirstOrDefault(x => x.HasTemplate(_canonical));
        Old = [.. byAge.Where(x => x != New)];
        Conditions = deployment.Status.Conditions;
        CollisionCount = deployment.Status.CollisionCount;
        Surge = IsRolling ? (RollingUpdate?.MaxSurge ?? "25%").Of(Wanted, roundUp: true) : 0;
        MaxUnavailable = IsRolling ? Math.Min(Wanted, Unavailable()) : 0;
    }

    public Deployment Deployment { get; }
    public DateTimeOffset Now { get; }

    /// <summary>The set with the Deployment's template; null where it is to be made.</summary>
    public OwnedSet? New { get; private set; }

    /// <summary>The other sets, oldest first.</summary>
    public IReadOnlyList<OwnedSet> Old { get; }
    public IEnumerable<OwnedSet> All => New is null ? Old : Old.Append(New);

    public int Wanted => Deployment.Spec.Replicas;

    /// <summary>Pods above <see cref="Wanted"/>, and unavailable pods below it, that a rolling update may have.</summary>
    public int Surge { get; }
    public int MaxUnavailable { get; }

    /// <summary>The name that was made for a set of this plan, "" where none was.</summary>
    public string CreatedName { get; private set; } = "";

    public List<Change> Changes { get; } = [];
    public List<EventNote> Events { get; } = [];
    public IReadOnlyList<Api.Objects.Condition> Conditions { get; set; }
    public int? CollisionCount { get; set; }

    /// <summary>Pods that the sets ask for.</summary>
    public int Total => All.Sum(x => x.Replicas) + CreatedReplicas;

    /// <summary>Pods that there may be, those included that sets were just asked to give up.</summary>
    public int Most => All.Sum(x => x.Most) + CreatedReplicas;
    public bool IsRolling => Deployment.Spec.Strategy.Type != "Recreate";
    private int CreatedReplicas { get; set; }
    private RollingUpdate? RollingUpdate => Deployment.Spec.Strategy.RollingUpdate;

    /// <summary>maxUnavailable is rounded down; where surge and it would both be 0 nothing could move, so it is 1 then.</summary>
    private int Unavailable()
    {
        var unavailable = (RollingUpdate?.MaxUnavailable ?? "25%").Of(Wanted, roundUp: false);
        return unavailable == 0 && Surge == 0 ? 1 : unavailable;
    }

    public void Scale(OwnedSet set, int replicas)
    {
        var before = set.Replicas;
        if (before == replicas && set.DesiredReplicas == Wanted && set.MaxReplicas == Wanted + Surge) return;
        set.Annotate[Annotations.DesiredReplicas] = Text(Wanted);
        set.Annotate[Annotations.MaxReplicas] = Text(Wanted + Surge);
        if (replicas < before) set.Annotate[Annotations.ReplicasBefore] = Text(set.Most);
        set.Replicas = replicas;
        if (before == replicas) return;
        Tell("ScalingReplicaSet", $"Scaled {(replicas > before ? "up" : "down")} replica set {set.Name} from {before} to {replicas}");
    }

    /// <summary>Makes the new set with that many replicas. A set of its name with another template asks for another hash next time.</summary>
    public void CreateNew(int replicas, long revision, Func<string, bool> isNameTaken)
    {
        var hash = TemplateHash.Of(_canonical, CollisionCount ?? 0);
        var name = $"{Deployment.Name}-{hash}";
        if (isNameTaken(name))
        {
            CollisionCount = (CollisionCount ?? 0) + 1;
            return;
        }
        CreatedName = name;
        CreatedReplicas = replicas;
        var spec = Deployment.Spec;
        Changes.Add(Change.Create(ResourceKey.Of(Kind.ReplicaSet, Deployment.Namespace, name), Body.Of(json =>
        {
            json.TypeMeta(Kind.ReplicaSet);
            json.Object("metadata", meta =>
            {
                meta.WriteString("name"u8, name);
                meta.WriteString("namespace"u8, Deployment.Namespace);
                meta.Map("labels", spec.Template.Metadata.Labels.Where(x => x.Key != TemplateJson.HashLabel).Append(new(TemplateJson.HashLabel, hash)));
                meta.Map("annotations", Deployment.Metadata.Annotations.Where(x => !Annotations.IsOwn(x.Key)).Concat(
                [
                    new(Annotations.Revision, Text(revision)),
                    new(Annotations.DesiredReplicas, Text(Wanted)),
                    new(Annotations.MaxReplicas, Text(Wanted + Surge)),
                ]));
                meta.Owner(Kind.Deployment, Deployment);
            });
            json.Object("spec", x =>
            {
                x.WriteNumber("replicas"u8, replicas);
                if (spec.MinReadySeconds > 0) x.WriteNumber("minReadySeconds"u8, spec.MinReadySeconds);
                x.Object("selector", selector => WriteSelector(selector, hash));
                x.WritePropertyName("template"u8);
                _template.WriteWithHash(x, hash);
            });
        })));
        if (replicas > 0) Tell("ScalingReplicaSet", $"Scaled up replica set {name} from 0 to {replicas}");
    }

    public void Tell(string reason, string message) => Events.Add(EventNote.Normal(Body.Reference(Kind.Deployment, Deployment), reason, message));

    public static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private void WriteSelector(Utf8JsonWriter json, string hash)
    {
        var selector = Deployment.Spec.Selector;
        json.Map("matchLabels", selector.MatchLabels.Where(x => x.Key != TemplateJson.HashLabel).Append(new(TemplateJson.HashLabel, hash)));
        if (selector.MatchExpressions.Count == 0) return;
        json.Array("matchExpressions", selector.MatchExpressions, x =>
        {
            json.WriteStartObject();
            json.WriteString("key"u8, x.Key);
            json.WriteString("operator"u8, x.Operator);
            if (x.Values.Count > 0) json.Strings("values", x.Values);
            json.WriteEndObject();
        });
    }
}
