using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Versions;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>Judges a request by every policy that a binding puts into force, in the order of the policies' and the bindings' names.</summary>
internal sealed class PolicyCheck(RevisionLog log, CustomKinds kinds, Func<User, AccessQuestion, bool> allows)
{
    private readonly Lock _gate = new();
    private (ImmutableSortedDictionary<ObjectName, Selectable> Policies, ImmutableSortedDictionary<ObjectName, Selectable> Bindings)? _seen;
    private IReadOnlyList<(Policy Policy, PolicyBinding Binding)> _inForce = [];

    /// <exception cref="ApiException">A validation whose binding says Deny fails, with the validation's reason.</exception>
    public void Check(AdmissionRequest request)
    {
        var inForce = InForce();
        if (inForce.Count == 0 || !Webhooks.WebhookCalls.Concerns(request.Key.Kind)) return;
        JsonObject? described = null;
        foreach (var (policy, binding) in inForce)
        {
            if (policy.Match.Find(request, log, kinds.All) is null || binding.Match?.Find(request, log, kinds.All) is null && binding.Match is not null) continue;
            described ??= request.Describe("", request.Key.Kind);
            Check(request, policy, binding, described);
        }
    }

    private void Check(AdmissionRequest request, Policy policy, PolicyBinding binding, JsonObject described)
    {
        // A binding that names no parameters leaves them null.
        List<JsonObject?> given = policy.ParamKind is { } kind && binding.Param is not null ? [.. Params(request, kind, binding)] : [null];
        if (given.Count == 0)
        {
            // Whatever the binding's actions are: it is wrongly configured, and nothing was judged.
            if (!binding.Param!.DeniesWithout || !policy.Fails) return;
            throw Denied(request, policy, binding, "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction", StatusReason.Invalid);
        }
        foreach (var param in given)
        {
            var values = MatchConditions.Values(request, described, allows);
            values["params"] = CelValues.FromJson(param, CelType.Dyn);
            values["namespaceObject"] = CelValues.FromJson(NamespaceOf(request), CelType.Dyn);
            var meter = new CelMeter(CelLimits.ObjectCostMax);
            try
            {
                if (!policy.Conditions.Hold(values)) continue;
                policy.Bind(values, meter);
            }
            catch (CelException e)
            {
                if (policy.Fails) Failed(request, policy, binding, e.Message, StatusReason.Invalid);
                continue;
            }
            Annotate(request, policy, binding, values, meter);
            foreach (var rule in policy.Rules) Check(request, policy, binding, rule, values, meter);
        }
    }

    // Whatever the binding's actions are: they are about failures.
    private static void Annotate(AdmissionRequest request, Policy policy, PolicyBinding binding, Dictionary<string, object?> values, CelMeter meter)
    {
        foreach (var (key, program) in policy.AuditAnnotations)
        {
            try
            {
                var value = program.Evaluate(values, meter);
                if (value is string text && request.AuditAnnotations is { } annotations) PolicyAudit.Add(annotations, policy, key, text);
                else if (value is not (string or null)) throw new CelException("the value is neither a string nor null");
            }
            catch (CelException e)
            {
                if (policy.Fails) Failed(request, policy, binding, $"audit annotation '{key}' resulted in error: {e.Message}", StatusReason.Invalid);
            }
        }
    }

    private static void Check(AdmissionRequest request, Policy policy, PolicyBinding binding, PolicyRule rule, Dictionary<string, object?> values, CelMeter meter)
    {
        try
        {
            if (rule.Program.Evaluate(values, meter) is true) return;
        }
        catch (CelException e)
        {
            if (policy.Fails) Failed(request, policy, binding, $"expression '{rule.Program.Text}' resulted in error: {e.Message}", StatusReason.Invalid, rule.Index);
            return;
        }
        Failed(request, policy, binding, Message(rule, values, meter), rule.Reason, rule.Index);
    }

    private static string Message(PolicyRule rule, Dictionary<string, object?> values, CelMeter meter)
    {
        var given = rule.Message.Length > 0 ? rule.Message : $"failed expression: {rule.Program.Text.Trim()}";
        if (rule.MessageProgram is null) return given;
        try
        {
            return rule.MessageProgram.Evaluate(values, meter) is string { Length: > 0 } text && !text.Contains('\n', StringComparison.Ordinal) ? text : given;
        }
        catch (CelException)
        {
            return given; // As Kubernetes does: a message that fails falls back on the one that is written.
        }
    }

    private static void Failed(AdmissionRequest request, Policy policy, PolicyBinding binding, string message, string reason, int index = 0)
    {
        if (binding.Actions.Contains("Audit") && request.AuditAnnotations is { } annotations) PolicyAudit.Failure(annotations, policy, binding, index, message);
        if (binding.Actions.Contains("Warn") && request.Warnings is { Count: < Limits.WarningsMax } warnings)
        {
            warnings.Add($"Validation failed for ValidatingAdmissionPolicy '{policy.Name}' with binding '{binding.Name}': {message}");
        }
        if (binding.Actions.Contains("Deny")) throw Denied(request, policy, binding, message, reason);
    }

    private static ApiException Denied(AdmissionRequest request, Policy policy, PolicyBinding binding, string message, string reason)
    {
        var why = $"ValidatingAdmissionPolicy '{policy.Name}' with binding '{binding.Name}' denied request: {message}";
        var code = reason switch { StatusReason.Unauthorized => 401, StatusReason.Forbidden => 403, StatusReason.TooLarge => 413, _ => 422 };
        var forbidden = Status.Forbidden(request.Key.Kind, request.Key.Name, why).Status;
        return new ApiException(forbidden with { Code = code, Reason = reason, Causes = [new("", why, "")] });
    }

    private JsonObject? NamespaceOf(AdmissionRequest request) =>
        request.Key.Kind.Namespaced && log.Get(new(Kind.Namespace, "", request.Key.Namespace)) is { } ns ? Canonical.Parse(ns.Stored.Json) : null;

    private IEnumerable<JsonObject> Params(AdmissionRequest request, (string ApiVersion, string Kind) named, PolicyBinding binding)
    {
        if (binding.Param is not { } wanted || kinds.FindByName(named.ApiVersion, named.Kind) is not { } kind) yield break;
        var stored = CustomKind.StoredAs(ServedVersions.StoredAs(kind));
        var ns = !kind.Namespaced ? "" : wanted.Namespace.Length > 0 ? wanted.Namespace : request.Key.Namespace;
        if (wanted.Selector is null)
        {
            if (log.Get(new(stored, ns, wanted.Name)) is { } one) yield return Canonical.Parse(one.Stored.Json);
            yield break;
        }
        foreach (var (name, item) in log.Snapshot(stored).Objects)
        {
            if (name.Namespace == ns && wanted.Selector.Matches(item.Labels)) yield return Canonical.Parse(item.Stored.Json);
        }
    }

    private IReadOnlyList<(Policy, PolicyBinding)> InForce()
    {
        var (bindings, _) = log.Snapshot(Kind.ValidatingAdmissionPolicyBinding);
        if (bindings.Count == 0) return [];
        var (policies, _) = log.Snapshot(Kind.ValidatingAdmissionPolicy);
        lock (_gate)
        {
            if (_seen is not { } seen || !ReferenceEquals(seen.Policies, policies) || !ReferenceEquals(seen.Bindings, bindings))
            {
                List<PolicyBinding> bound = [.. bindings.Select(x => PolicyBinding.Read(Canonical.Parse(x.Value.Stored.Json)))];
                _inForce = [.. policies.Select(x => Policy.Read(Canonical.Parse(x.Value.Stored.Json), [])).SelectMany(policy => bound.Where(x => x.Policy == policy.Name).Select(x => (policy, x)))];
                _seen = (policies, bindings);
            }
            return _inForce;
        }
    }
}
