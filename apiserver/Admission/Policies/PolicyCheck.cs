using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>Judges a request by every policy that a binding puts into force, in the order of the policies' and the bindings' names.</summary>
internal sealed class PolicyCheck(RevisionLog log, CustomKinds kinds, Func<User, AccessQuestion, bool> allows)
{
    private readonly Lock _gate = new();
    private (ObjectSet Policies, ObjectSet Bindings)? _seen;
    private IReadOnlyList<(Policy Policy, PolicyBinding Binding)> _inForce = [];

    /// <exception cref="ApiException">A validation whose binding says Deny fails, with the validation's reason.</exception>
    public void Check(AdmissionRequest request)
    {
        var inForce = InForce();
        if (inForce.Count == 0 || !Webhooks.WebhookCalls.Concerns(request.Key.Kind)) return;
        JsonObject? described = null;
        var judgement = new PolicyJudgement(request);
        foreach (var (policy, binding) in inForce)
        {
            if (policy.Match.Find(request, log, kinds.All) is null || binding.Match?.Find(request, log, kinds.All) is null && binding.Match is not null) continue;
            described ??= request.Describe("", request.Key.Kind);
            Check(request, policy, binding, described, judgement);
        }
        judgement.Tell();
    }

    private void Check(AdmissionRequest request, Policy policy, PolicyBinding binding, JsonObject described, PolicyJudgement judgement)
    {
        var paramKind = policy.ParamKind is { } named ? kinds.FindByName(named.ApiVersion, named.Kind) : null;
        if (policy.ParamKind is { } unknown && paramKind is null)
        {
            judgement.Misconfigured(policy, null, $"failed to find resource referenced by paramKind: '{unknown.ApiVersion}, Kind={unknown.Kind}'");
            return;
        }
        var given = PolicyParams.Of(log, paramKind, binding, request.Key.Namespace);
        if (given.Error.Length > 0) judgement.Misconfigured(policy, binding, given.Error);
        foreach (var param in given.Objects)
        {
            var values = MatchConditions.Values(request, described, allows);
            values["params"] = CelValues.FromJson(param, CelType.Dyn);
            values["namespaceObject"] = CelValues.FromJson(NamespaceOf(request), MatchConditions.NamespaceType);
            var meter = new CelMeter(CelLimits.ObjectCostMax);
            try
            {
                if (!policy.Conditions.Hold(values)) continue;
            }
            catch (CelException e)
            {
                if (policy.Fails) judgement.Failed(policy, binding, e.Message);
                continue;
            }
            policy.Bind(values, meter);
            Annotate(request, policy, binding, values, meter, judgement);
            foreach (var rule in policy.Rules) Check(policy, binding, rule, values, meter, judgement);
        }
    }

    // Whatever the binding's actions are: they are about failures.
    private static void Annotate(AdmissionRequest request, Policy policy, PolicyBinding binding, Dictionary<string, object?> values, CelMeter meter, PolicyJudgement judgement)
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
                if (policy.Fails) judgement.Failed(policy, binding, $"audit annotation '{key}' resulted in error: {e.Message}");
            }
        }
    }

    private static void Check(Policy policy, PolicyBinding binding, PolicyRule rule, Dictionary<string, object?> values, CelMeter meter, PolicyJudgement judgement)
    {
        try
        {
            if (rule.Program.Evaluate(values, meter) is true) return;
        }
        catch (CelException e)
        {
            if (policy.Fails) judgement.Failed(policy, binding, $"expression '{rule.Program.Text}' resulted in error: {e.Message}", index: rule.Index);
            return;
        }
        judgement.Failed(policy, binding, rule.MessageOf(values, meter), rule.Reason, rule.Index);
    }

    private JsonObject? NamespaceOf(AdmissionRequest request) =>
        request.Key.Kind.Namespaced && log.Get(new(Kind.Namespace, "", request.Key.Namespace)) is { } ns ? Canonical.Parse(ns.Stored.Json) : null;

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
