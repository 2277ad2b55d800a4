using System.Collections.Immutable;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;

namespace Declarative.Lb.Settings;

/// <summary>Annotations of a Service or an Ingress → settings. Pure; what cannot be read is said and leaves the rest as it is.</summary>
internal static class SettingsReader
{
    /// <summary>
    /// Of one port: <c>declarative.mesos/lb-NAME.PORT</c> with the port's name or number goes before <c>declarative.mesos/lb-NAME</c>. The
    /// problems of names are told with the first port alone.
    /// </summary>
    /// <param name="draft">What labels have asked for.</param>
    /// <param name="problems">Those of the labels.</param>
    public static PortSettings Read(Service service, ServicePort port, SettingsDraft? draft = null, ImmutableArray<string>.Builder? problems = null)
    {
        if (!Has(service) && draft is null && !service.Spec.KeepsClients) return PortSettings.Default;
        problems ??= ImmutableArray.CreateBuilder<string>();
        if (ReferenceEquals(port, service.Spec.Ports[0])) CheckNames(service, SettingScope.Service, service.Spec.Ports, problems);
        return Read(service, SettingScope.Service, [.. Suffixes(port), ""], draft ?? SettingsDraft.Of(service), problems);
    }

    public static PortSettings Read(Ingress ingress)
    {
        if (!Has(ingress)) return PortSettings.Default;
        var problems = ImmutableArray.CreateBuilder<string>();
        CheckNames(ingress, SettingScope.Ingress, [], problems);
        return Read(ingress, SettingScope.Ingress, [""], new(ingress.Namespace), problems);
    }

    private static bool Has(ApiObject thing)
    {
        foreach (var name in thing.Metadata.Annotations.Keys)
        {
            if (name.StartsWith(SettingTable.Prefix, StringComparison.Ordinal)) return true;
        }
        return false;
    }

    private static PortSettings Read(ApiObject thing, SettingScope scope, string[] suffixes, SettingsDraft draft, ImmutableArray<string>.Builder problems)
    {
        var closed = "";
        foreach (var setting in SettingTable.All)
        {
            if (!setting.Scope.HasFlag(scope)) continue;
            foreach (var suffix in suffixes)
            {
                var name = SettingTable.Prefix + setting.Name + suffix;
                if (!thing.Metadata.Annotations.TryGetValue(name, out var value)) continue;
                if (!setting.Apply(draft, value.Trim()))
                {
                    problems.Add($"metadata.annotations[{name}]: \"{value}\", expected {setting.Form}" + (setting.Guards ? ": nobody is let in" : ""));
                    if (setting.Guards && closed.Length == 0) closed = $"annotation {name} cannot be read";
                }
                break;
            }
        }
        if (closed.Length > 0) draft.Edge = draft.Edge with { Closed = closed };
        return new(draft.Backend, draft.Edge == EdgeSettings.Nothing ? null : draft.Edge, problems.ToImmutable());
    }

    private static void CheckNames(ApiObject thing, SettingScope scope, IReadOnlyList<ServicePort> ports, ImmutableArray<string>.Builder problems)
    {
        foreach (var full in thing.Metadata.Annotations.Keys.Where(x => x.StartsWith(SettingTable.Prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            var name = full[SettingTable.Prefix.Length..];
            var dot = name.IndexOf('.', StringComparison.Ordinal);
            var suffix = dot < 0 ? "" : name[dot..];
            if (dot >= 0) name = name[..dot];
            if (!SettingTable.ByName.TryGetValue(name, out var setting))
            {
                var near = Names.Nearest(name, SettingTable.All.Select(x => x.Name));
                problems.Add($"metadata.annotations[{full}]: no such setting" + (near is null ? "" : $", the nearest is {SettingTable.Prefix}{near}"));
            }
            else if (!setting.Scope.HasFlag(scope)) problems.Add($"metadata.annotations[{full}]: belongs on a Service");
            else if (suffix.Length > 0 && !ports.Any(x => Suffixes(x).Contains(suffix)))
            {
                problems.Add($"metadata.annotations[{full}]: no port is called {suffix[1..]}" + (ports.Count == 0 ? "" : $", there are {string.Join(", ", ports.Select(x => x.Name.Length > 0 ? x.Name : $"{x.Port}"))}"));
            }
        }
    }

    private static string[] Suffixes(ServicePort port) => port.Name.Length > 0 ? [$".{port.Name}", $".{port.Port}"] : [$".{port.Port}"];
}
