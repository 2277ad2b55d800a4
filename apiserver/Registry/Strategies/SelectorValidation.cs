using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>Label selectors and node selectors (Kubernetes: ValidateLabelSelector, ValidateNodeSelector).</summary>
internal static class SelectorValidation
{
    private const string NeedsValues = "must be specified when `operator` is 'In' or 'NotIn'";
    private const string HasNoValues = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";

    public static void Labels(Part parent, string name)
    {
        if (parent.Child(name) is not { } selector) return;
        selector.Labels("matchLabels");
        foreach (var expression in selector.Items("matchExpressions")) Requirement(expression, ofNodes: false);
    }

    public static void Nodes(Part selector)
    {
        if (!selector.Needs("nodeSelectorTerms", "must have at least one node selector term")) return;
        foreach (var term in selector.Items("nodeSelectorTerms")) NodeTerm(term);
    }

    public static void NodeTerm(Part term)
    {
        foreach (var expression in term.Items("matchExpressions")) Requirement(expression, ofNodes: true);
        foreach (var field in term.Items("matchFields"))
        {
            if (field.Text("operator") is not ("In" or "NotIn")) field.Invalid("operator", "not a valid selector operator");
            else if (field.Texts("values").Count() != 1) field.Causes.Add(Metadata.Required(field.At("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
            if (field.Text("key") != "metadata.name") field.Invalid("key", "not a valid field selector key");
        }
    }

    private static void Requirement(Part expression, bool ofNodes)
    {
        var values = expression.Texts("values").ToList();
        switch (expression.Text("operator"))
        {
            case "In" or "NotIn" when values.Count == 0:
                expression.Needs("values", NeedsValues);
                break;
            case "Exists" or "DoesNotExist" when values.Count > 0:
                expression.Forbidden("values", HasNoValues);
                break;
            case "Gt" or "Lt" when ofNodes:
                if (values.Count != 1) expression.Causes.Add(Metadata.Required(expression.At("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'"));
                break;
            case "In" or "NotIn" or "Exists" or "DoesNotExist":
                break;
            default:
                expression.Invalid("operator", "not a valid selector operator");
                break;
        }
        if (Names.QualifiedNameError(expression.Text("key")) is { } error) expression.Invalid("key", error);
        foreach (var (value, at) in values)
        {
            if (Names.LabelValueError(value) is { } wrong) expression.Causes.Add(Metadata.Invalid(at, value, wrong));
        }
    }
}
