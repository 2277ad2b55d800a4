using Declarative.Api;
using static Declarative.ApiServer.Cel.CelFunctions;

namespace Declarative.ApiServer.Cel;

/// <summary>The variable <c>authorizer</c> of admission expressions: what the user of the request may do (Kubernetes doc "Common Expression Language", authorizer library).</summary>
/// <param name="Allows">Asks authorization.</param>
/// <param name="Request">What the request itself is about; null where there is none.</param>
internal sealed record CelAuthorizer(User User, Func<User, AccessQuestion, bool> Allows, AccessQuestion? Request)
{
    /// <summary>The name of the member that stands for what the request is about.</summary>
    public const string RequestResource = "requestResource";
}

/// <summary>A path or resource that is asked about, and by whom.</summary>
internal sealed record CelCheck(CelAuthorizer By, AccessQuestion Question, CelKind Kind);

internal sealed record CelDecision(bool Allowed);

/// <summary>Functions of the authorizer library. A check costs what the look-up of many bindings costs, as in Kubernetes.</summary>
internal static class CelAuthorizers
{
    private const long CheckCost = 350_000;

    public static IEnumerable<CelOverload> All()
    {
        var (text, path, group, resource, decision) = (CelType.String, CelType.PathCheck, CelType.GroupCheck, CelType.ResourceCheck, CelType.Decision);
        yield return Member("path", [CelType.Authorizer, text], path, (a, _) => a[1] is string { Length: > 0 } asked
            ? new CelCheck((CelAuthorizer)a[0]!, new("", "", "") { Path = asked }, CelKind.PathCheck) : throw new CelException("path must not be empty"));
        yield return Member("group", [CelType.Authorizer, text], group, (a, _) => new CelCheck((CelAuthorizer)a[0]!, new("", (string)a[1]!, ""), CelKind.GroupCheck));
        yield return Member("serviceAccount", [CelType.Authorizer, text, text], CelType.Authorizer, ServiceAccount);
        yield return Member("resource", [group, text], resource, (a, _) => Asked(a, (x, y) => x with { Resource = y }) with { Kind = CelKind.ResourceCheck });
        yield return Member("subresource", [resource, text], resource, (a, _) => Asked(a, (x, y) => x with { Subresource = y }));
        yield return Member("namespace", [resource, text], resource, (a, _) => Asked(a, (x, y) => x with { Namespace = y }));
        yield return Member("name", [resource, text], resource, (a, _) => Asked(a, (x, y) => x with { Name = y }));
        // RBAC does not look at selectors: whoever may with them, may without.
        yield return Member("fieldSelector", [resource, text], resource, (a, _) => a[0]);
        yield return Member("labelSelector", [resource, text], resource, (a, _) => a[0]);
        yield return Member("check", [resource, text], decision, Check);
        yield return Member("check", [path, text], decision, Check);
        yield return Member("allowed", [decision], CelType.Bool, (a, _) => ((CelDecision)a[0]!).Allowed);
        yield return Member("reason", [decision], text, (a, _) => ((CelDecision)a[0]!).Allowed ? "RBAC: allowed" : "");
        yield return Member("errored", [decision], CelType.Bool, (_, _) => false);
        yield return Member("error", [decision], text, (_, _) => "");
    }

    private static CelCheck Asked(object?[] a, Func<AccessQuestion, string, AccessQuestion> with) => (CelCheck)a[0]! with { Question = with(((CelCheck)a[0]!).Question, (string)a[1]!) };

    private static object ServiceAccount(object?[] a, CelMeter meter)
    {
        var (ns, name) = ((string)a[1]!, (string)a[2]!);
        if (Api.Objects.Names.LabelError(ns) is { } wrong) throw new CelException($"Invalid service account namespace: {wrong}");
        if (Api.Objects.Names.SubdomainError(name) is { } bad) throw new CelException($"Invalid service account name: {bad}");
        return (CelAuthorizer)a[0]! with { User = new($"system:serviceaccount:{ns}:{name}", "system:serviceaccounts", $"system:serviceaccounts:{ns}", User.Authenticated) };
    }

    private static object Check(object?[] a, CelMeter meter)
    {
        meter.Spend(CheckCost);
        var (check, verb) = ((CelCheck)a[0]!, (string)a[1]!);
        return new CelDecision(check.By.Allows(check.By.User, check.Question with { Verb = verb }));
    }
}
