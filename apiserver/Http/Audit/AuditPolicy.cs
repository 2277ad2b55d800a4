using System.Text.Json.Nodes;
using Declarative.Api.Wire;

namespace Declarative.ApiServer.Http.Audit;

/// <summary>How much of a request the audit log keeps (Kubernetes doc "Auditing", audit levels), least first.</summary>
internal enum AuditLevel
{
    None,

    /// <summary>Who, what, when, with which result.</summary>
    Metadata,

    /// <summary>The object that was sent too.</summary>
    Request,

    /// <summary>The answered object too.</summary>
    RequestResponse,
}

/// <summary>What is asked, as rules select it.</summary>
/// <param name="Resource">With its subresource: <c>pods/log</c>; "" for a path that is no resource.</param>
internal readonly record struct AuditSubject(string User, IReadOnlyList<string> Groups, string Verb, string Group, string Resource, string Namespace, string Name, string Path);

/// <summary>A Policy of audit.k8s.io/v1: the first rule that selects a request decides its level; a request that none selects is not kept.</summary>
internal sealed class AuditPolicy
{
    private readonly List<Rule> _rules;

    private AuditPolicy(List<Rule> rules) => _rules = rules;

    /// <summary>
    /// Where no file is given: metadata of everything, but not what the platform's parts do all the time: reading, and renewing leases.
    /// </summary>
    public static AuditPolicy Default { get; } = Parse("default", """
        apiVersion: audit.k8s.io/v1
        kind: Policy
        rules:
        - {level: None, userGroups: ["system:declarative"], verbs: [get, list, watch]}
        - {level: None, userGroups: ["system:declarative"], resources: [{group: coordination.k8s.io, resources: [leases]}, {group: declarative.mesos, resources: [trafficreports]}]}
        - {level: Metadata}
        """);

    /// <exception cref="AuditPolicyException">Names the file and the field.</exception>
    public static AuditPolicy Parse(string file, string text)
    {
        JsonNode? policy;
        try
        {
            policy = JsonNode.Parse(Yaml.ToJson(System.Text.Encoding.UTF8.GetBytes(text)));
        }
        catch (Exception e) when (e is Declarative.Api.ApiException or System.Text.Json.JsonException)
        {
            throw new AuditPolicyException($"{file}: {e.Message}");
        }
        if ((string?)policy?["kind"] != "Policy" || policy["apiVersion"]?.ToString() is not ("audit.k8s.io/v1" or "audit.k8s.io/v1beta1"))
            throw new AuditPolicyException($"{file}: expected kind Policy of apiVersion audit.k8s.io/v1");
        if (policy["rules"] is not JsonArray rules || rules.Count == 0) throw new AuditPolicyException($"{file}: rules: at least one is required");
        return new([.. rules.Select((rule, i) => new Rule(file, $"rules[{i}]", rule))]);
    }

    public AuditLevel LevelOf(in AuditSubject subject)
    {
        foreach (var rule in _rules)
        {
            if (rule.Selects(subject)) return rule.Level;
        }
        return AuditLevel.None;
    }

    /// <summary>An empty list of a rule selects all.</summary>
    private sealed class Rule
    {
        private readonly HashSet<string> _users;
        private readonly HashSet<string> _groups;
        private readonly HashSet<string> _verbs;
        private readonly HashSet<string> _namespaces;
        private readonly IReadOnlyList<string> _paths;
        private readonly IReadOnlyList<Resources> _resources;

        public Rule(string file, string field, JsonNode? json)
        {
            if (json is not JsonObject rule) throw new AuditPolicyException($"{file}: {field}: expected an object");
            var level = rule["level"]?.ToString() ?? "";
            // By name alone: a number would be taken for one of them.
            Level = Enum.GetNames<AuditLevel>().Contains(level) ? Enum.Parse<AuditLevel>(level)
                : throw new AuditPolicyException($"{file}: {field}.level: \"{level}\": expected None, Metadata, Request or RequestResponse");
            _users = [.. Texts("users")];
            _groups = [.. Texts("userGroups")];
            _verbs = [.. Texts("verbs")];
            _namespaces = [.. Texts("namespaces")];
            _paths = Texts("nonResourceURLs");
            _resources = rule["resources"] is JsonArray resources ? [.. resources.Select((x, i) => new Resources(file, $"{field}.resources[{i}]", x))] : [];
            if (_paths.Count > 0 && (_resources.Count > 0 || _namespaces.Count > 0)) throw new AuditPolicyException($"{file}: {field}: a rule is about resources or about nonResourceURLs, not both");

            IReadOnlyList<string> Texts(string name) => Audit.AuditPolicy.Texts(file, $"{field}.{name}", rule[name]);
        }

        public AuditLevel Level { get; }

        public bool Selects(in AuditSubject subject)
        {
            if (_users.Count > 0 && !_users.Contains(subject.User)) return false;
            if (_groups.Count > 0 && !subject.Groups.Any(_groups.Contains)) return false;
            if (_verbs.Count > 0 && !_verbs.Contains(subject.Verb)) return false;
            if (_paths.Count > 0) return subject.Resource.Length == 0 && SelectsPath(subject.Path);
            if (_namespaces.Count == 0 && _resources.Count == 0) return true;
            if (subject.Resource.Length == 0 || (_namespaces.Count > 0 && !_namespaces.Contains(subject.Namespace))) return false;
            if (_resources.Count == 0) return true;
            foreach (var resources in _resources)
            {
                if (resources.Selects(subject)) return true;
            }
            return false;
        }

        private bool SelectsPath(string path) => _paths.Any(x => x == "*" || x == path || (x.EndsWith('*') && path.StartsWith(x[..^1], StringComparison.Ordinal)));
    }

    private sealed class Resources
    {
        private readonly string _group;
        private readonly IReadOnlyList<string> _resources;
        private readonly HashSet<string> _names;

        public Resources(string file, string field, JsonNode? json)
        {
            if (json is not JsonObject resources) throw new AuditPolicyException($"{file}: {field}: expected an object");
            _group = resources["group"]?.ToString() ?? "";
            _resources = Texts(file, $"{field}.resources", resources["resources"]);
            _names = [.. Texts(file, $"{field}.resourceNames", resources["resourceNames"])];
            if (_names.Count > 0 && _resources.Count == 0) throw new AuditPolicyException($"{file}: {field}.resourceNames: needs resources beside it");
        }

        public bool Selects(in AuditSubject subject)
        {
            if (_group != subject.Group || (_names.Count > 0 && !_names.Contains(subject.Name))) return false;
            if (_resources.Count == 0) return true;
            var slash = subject.Resource.IndexOf('/', StringComparison.Ordinal);
            foreach (var wanted in _resources)
            {
                // pods, pods/log, pods/*, */log, *
                if (wanted == "*" || wanted == subject.Resource) return true;
                if (slash > 0 && wanted.EndsWith("/*", StringComparison.Ordinal) && subject.Resource.AsSpan(0, slash).SequenceEqual(wanted.AsSpan(0, wanted.Length - 2))) return true;
                if (slash > 0 && wanted.StartsWith("*/", StringComparison.Ordinal) && subject.Resource.AsSpan(slash).SequenceEqual(wanted.AsSpan(1))) return true;
            }
            return false;
        }
    }

    private static IReadOnlyList<string> Texts(string file, string field, JsonNode? json) => json switch
    {
        null => [],
        JsonArray texts when texts.All(x => x is JsonValue value && value.TryGetValue<string>(out _)) => [.. texts.Select(x => (string)x!)],
        _ => throw new AuditPolicyException($"{file}: {field}: expected a list of strings"),
    };
}

/// <summary>An audit policy that can not be used; the message names file, field and what was expected.</summary>
public sealed class AuditPolicyException(string message) : Exception(message);
