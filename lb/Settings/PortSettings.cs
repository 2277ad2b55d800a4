using System.Collections.Immutable;

namespace Declarative.Lb.Settings;

/// <summary>All settings of one port of a Service, or of an Ingress (which has no endpoints of its own).</summary>
/// <param name="Edge">null = nothing to do.</param>
/// <param name="Problems">What could not be read: the field, what it says, what was expected.</param>
public sealed record PortSettings(BackendSettings Backend, EdgeSettings? Edge, ImmutableArray<string> Problems)
{
    public static PortSettings Default { get; } = new(BackendSettings.Default, null, []);
}
