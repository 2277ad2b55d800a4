using System.Text;
using System.Text.RegularExpressions;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Group = Declarative.Mesos.Protocol.SchedulerApi.OfferConstraints.Types.RoleConstraints.Types.Group;
using PredicateCase = Declarative.Mesos.Protocol.SchedulerApi.AttributeConstraint.Types.Predicate.PredicateOneofCase;
using Pseudo = Declarative.Mesos.Protocol.SchedulerApi.AttributeConstraint.Types.Selector.Types.PseudoattributeType;
using SelectorCase = Declarative.Mesos.Protocol.SchedulerApi.AttributeConstraint.Types.Selector.SelectorOneofCase;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>
/// The agents a framework wants to be offered in one role: those that satisfy all constraints of at least one group. A predicate about
/// text is satisfied by an attribute of another type, and the negative ones also where there is no attribute.
/// </summary>
/// <remarks>Source: Mesos 1.11, OFFER_CONSTRAINTS in the scheduler API.</remarks>
internal sealed class OfferConstraint
{
    /// <summary>What a master lets an expression take by default (--offer_constraints_re2_max_mem=4KB); here the text alone is measured.</summary>
    private const int RegexBytesMax = 4096;

    private readonly List<List<Func<AgentInfo, bool>>> _groups;

    private OfferConstraint(List<List<Func<AgentInfo, bool>>> groups) => _groups = groups;

    public bool Admits(AgentInfo agent) => _groups.Exists(group => group.TrueForAll(holds => holds(agent)));

    /// <summary>By role; or what is wrong with them.</summary>
    public static Dictionary<string, OfferConstraint> Of(OfferConstraints? constraints, IReadOnlyCollection<string> roles, out string? fault)
    {
        fault = null;
        var made = new Dictionary<string, OfferConstraint>(StringComparer.Ordinal);
        foreach (var (role, ofRole) in constraints?.RoleConstraints.OrderBy(one => one.Key, StringComparer.Ordinal) ?? Enumerable.Empty<KeyValuePair<string, OfferConstraints.Types.RoleConstraints>>())
        {
            if (!roles.Contains(role))
                fault = $"Offer constraints are specified for role '{role}' to which the framework is not subscribed";
            else if (ofRole.Groups.Count == 0)
                fault = $"Invalid offer constraints for role '{role}': no groups; a role without constraints must be left out";
            else if (ofRole.Groups.Any(group => group.AttributeConstraints.Count == 0))
                fault = $"Invalid offer constraints for role '{role}': an empty group";
            if (fault is not null)
                return made;
            try
            {
                made[role] = new([.. ofRole.Groups.Select(Compiled)]);
            }
            catch (Exception wrong) when (wrong is ArgumentException or NotSupportedException)
            {
                fault = $"Invalid offer constraints for role '{role}': {wrong.Message}";
                return made;
            }
        }

        return made;
    }

    private static List<Func<AgentInfo, bool>> Compiled(Group group) => [.. group.AttributeConstraints.Select(Compiled)];

    private static Func<AgentInfo, bool> Compiled(AttributeConstraint constraint)
    {
        var selector = constraint.Selector;
        if (selector.SelectorCase == SelectorCase.None || (selector.SelectorCase == SelectorCase.PseudoattributeType && selector.PseudoattributeType == Pseudo.Unknown))
            throw new ArgumentException("a selector needs 'attribute_name' or a known 'pseudoattribute_type'");
        var predicate = constraint.Predicate;
        switch (predicate.PredicateCase)
        {
            case PredicateCase.Exists:
                return agent => Find(agent, selector).Exists;
            case PredicateCase.NotExists:
                return agent => !Find(agent, selector).Exists;
            case PredicateCase.TextEquals:
                return agent => Find(agent, selector) is { Exists: true } found && (found.Text is null || found.Text == predicate.TextEquals.Value);
            case PredicateCase.TextNotEquals:
                return agent => Find(agent, selector).Text is not { } text || text != predicate.TextNotEquals.Value;
            case PredicateCase.TextMatches:
                var wanted = Whole(predicate.TextMatches.Regex);
                return agent => Find(agent, selector) is { Exists: true } found && (found.Text is null || wanted.IsMatch(found.Text));
            case PredicateCase.TextNotMatches:
                var unwanted = Whole(predicate.TextNotMatches.Regex);
                return agent => Find(agent, selector).Text is not { } text || !unwanted.IsMatch(text);
            default:
                throw new ArgumentException("a constraint needs a known 'predicate'");
        }
    }

    // Linear in the text whatever the expression, as RE2 is.
    private static Regex Whole(string regex)
    {
        if (Encoding.UTF8.GetByteCount(regex) is var bytes and > RegexBytesMax)
            throw new ArgumentException($"a regular expression of {bytes} bytes; at most {RegexBytesMax} are allowed");
        return new($@"\A(?:{regex})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
    }

    private static (bool Exists, string? Text) Find(AgentInfo agent, AttributeConstraint.Types.Selector selector)
    {
        if (selector.SelectorCase == SelectorCase.AttributeName)
        {
            var attribute = agent.Attributes.FirstOrDefault(one => one.Name == selector.AttributeName);
            return (attribute is not null, attribute?.Text?.Value);
        }

        var fault = agent.Domain?.FaultDomain;
        var text = selector.PseudoattributeType switch
        {
            Pseudo.Hostname => agent.Hostname,
            Pseudo.Region => fault?.Region?.Name,
            _ => fault?.Zone?.Name,
        };
        return (text is not null, text);
    }
}
