using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Where a pod may run (Kubernetes: validateAffinity, ValidateTolerations, validateTopologySpreadConstraints, validateSchedulingGates).</summary>
internal static class SchedulingValidation
{
    private const string Required = "requiredDuringSchedulingIgnoredDuringExecution";
    private const string Preferred = "preferredDuringSchedulingIgnoredDuringExecution";

    public static void Spec(Part spec)
    {
        spec.Labels("nodeSelector");
        if (spec.Child("affinity") is { } affinity)
        {
            if (affinity.Child("nodeAffinity") is { } nodes) NodeAffinity(nodes);
            if (affinity.Child("podAffinity") is { } near) PodAffinity(near);
            if (affinity.Child("podAntiAffinity") is { } apart) PodAffinity(apart);
        }
        Tolerations(spec);
        Spread(spec);
        Gates(spec);
    }

    public static void Tolerations(Part spec)
    {
        foreach (var toleration in spec.Items("tolerations"))
        {
            var (key, op, value) = (toleration.Text("key"), toleration.Text("operator"), toleration.Text("value"));
            toleration.Form("key", Names.QualifiedNameError);
            if (key.Length == 0 && op != "Exists") toleration.Invalid("operator", "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
            if (toleration.Has("tolerationSeconds") && toleration.Text("effect") != "NoExecute") toleration.Invalid("effect", "effect must be 'NoExecute' when `tolerationSeconds` is set");
            if (op == "Exists" && value.Length > 0) toleration.Causes.Add(Metadata.Invalid(toleration.At("operator"), value, "value must be empty when `operator` is 'Exists'"));
            if (op is "" or "Equal" && Names.LabelValueError(value) is { } error) toleration.Causes.Add(Metadata.Invalid(toleration.At("operator"), value, error));
            toleration.OneOf("operator", "Equal", "Exists");
            toleration.OneOf("effect", "NoSchedule", "PreferNoSchedule", "NoExecute");
        }
    }

    private static void NodeAffinity(Part affinity)
    {
        if (affinity.Child(Required) is { } selector) SelectorValidation.Nodes(selector);
        foreach (var term in affinity.Items(Preferred))
        {
            Weight(term);
            if (term.Child("preference") is { } preference) SelectorValidation.NodeTerm(preference);
        }
    }

    private static void PodAffinity(Part affinity)
    {
        foreach (var term in affinity.Items(Required)) PodTerm(term);
        foreach (var weighted in affinity.Items(Preferred))
        {
            Weight(weighted);
            if (weighted.Child("podAffinityTerm") is { } term) PodTerm(term);
        }
    }

    private static void PodTerm(Part term)
    {
        SelectorValidation.Labels(term, "labelSelector");
        SelectorValidation.Labels(term, "namespaceSelector");
        foreach (var (ns, at) in term.Texts("namespaces"))
        {
            if (Names.LabelError(ns) is { } error) term.Causes.Add(Metadata.Invalid(at, ns, error));
        }
        TopologyKey(term);
    }

    private static void Weight(Part term)
    {
        if (term.Number("weight") is not (>= 1 and <= 100)) term.Invalid("weight", "must be in the range 1-100");
    }

    private static void TopologyKey(Part part)
    {
        if (part.Needs("topologyKey", "can not be empty")) part.Form("topologyKey", Names.QualifiedNameError);
    }

    private static void Spread(Part spec)
    {
        var seen = new HashSet<(string, string)>();
        foreach (var constraint in spec.Items("topologySpreadConstraints"))
        {
            if (constraint.Number("maxSkew") is not > 0) constraint.Invalid("maxSkew", "must be greater than zero");
            TopologyKey(constraint);
            var (key, when) = (constraint.Text("topologyKey"), constraint.Text("whenUnsatisfiable"));
            if (when.Length == 0) constraint.Causes.Add(new("FieldValueNotSupported", "Unsupported value: \"\": supported values: \"DoNotSchedule\", \"ScheduleAnyway\"", constraint.At("whenUnsatisfiable")));
            constraint.OneOf("whenUnsatisfiable", "DoNotSchedule", "ScheduleAnyway");
            if (!seen.Add((key, when))) constraint.Causes.Add(Rules.Duplicate(constraint.At("{topologyKey, whenUnsatisfiable}"), $"{{{key}, {when}}}"));
            if (constraint.Number("minDomains") is <= 0) constraint.Invalid("minDomains", "must be greater than 0");
            if (constraint.Has("minDomains") && when != "DoNotSchedule") constraint.Invalid("minDomains", $"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {when}");
            constraint.OneOf("nodeAffinityPolicy", "Honor", "Ignore");
            constraint.OneOf("nodeTaintsPolicy", "Honor", "Ignore");
            SelectorValidation.Labels(constraint, "labelSelector");
        }
    }

    private static void Gates(Part spec)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var gate in spec.Items("schedulingGates"))
        {
            var name = gate.Text("name");
            if (Names.QualifiedNameError(name) is { } error) spec.Causes.Add(Metadata.Invalid(gate.Path, name, error));
            if (!seen.Add(name)) spec.Causes.Add(Rules.Duplicate(gate.Path, name));
        }
    }
}
