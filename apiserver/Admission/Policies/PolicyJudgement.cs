using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Admission.Policies;

/// <summary>
/// What the policies in force say of one request. All of them are asked before the request is refused: their warnings and audit annotations are told
/// whoever denies first.
/// </summary>
internal sealed class PolicyJudgement(AdmissionRequest request)
{
    private ApiException? _denied;

    /// <exception cref="ApiException">The first denial, with its validation's reason.</exception>
    public void Tell()
    {
        if (_denied is not null) throw _denied;
    }

    /// <summary>A validation has failed: the binding says what that does.</summary>
    /// <param name="index">Of the validation.</param>
    public void Failed(Policy policy, PolicyBinding binding, string message, string reason = StatusReason.Invalid, int index = 0)
    {
        if (binding.Actions.Contains("Audit") && request.AuditAnnotations is { } annotations) PolicyAudit.Failure(annotations, policy, binding, index, message);
        if (binding.Actions.Contains("Warn") && request.Warnings is { Count: < Limits.WarningsMax } warnings)
        {
            warnings.Add($"Validation failed for ValidatingAdmissionPolicy '{policy.Name}' with binding '{binding.Name}': {message}");
        }
        if (binding.Actions.Contains("Deny")) Deny(policy, binding, message, reason);
    }

    /// <summary>Nothing could be judged: that denies whatever the binding's actions are, unless the policy passes failures over.</summary>
    /// <param name="binding">null where it is the policy that is wrongly configured.</param>
    public void Misconfigured(Policy policy, PolicyBinding? binding, string why)
    {
        if (policy.Fails) Deny(policy, binding, $"failed to configure {(binding is null ? "policy" : "binding")}: {why}", StatusReason.Invalid);
    }

    private void Deny(Policy policy, PolicyBinding? binding, string message, string reason)
    {
        if (_denied is not null) return;
        var why = $"ValidatingAdmissionPolicy '{policy.Name}'{(binding is null ? "" : $" with binding '{binding.Name}'")} denied request: {message}";
        var code = reason switch { StatusReason.Unauthorized => 401, StatusReason.Forbidden => 403, StatusReason.TooLarge => 413, _ => 422 };
        var forbidden = Status.Forbidden(request.Key.Kind, request.Key.Name, why).Status;
        _denied = new(forbidden with { Code = code, Reason = reason, Causes = [new("", why, "")] });
    }
}
