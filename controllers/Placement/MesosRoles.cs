using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement;

/// <summary>
/// In which Mesos role the pods of a namespace are placed: as the options say it, else as the namespace's annotation does, else the one role of the
/// framework. A role that Mesos would refuse counts as not said.
/// </summary>
public static class MesosRoles
{
    public const string Annotation = "declarative.mesos/role";

    /// <summary>The annotated role; null where there is none that can be.</summary>
    public static string? Of(Namespace ns) => ns.Metadata.Annotations.TryGetValue(Annotation, out var role) && IsRole(role) ? role : null;

    /// <summary>As Mesos' masters check it (docs/roles.md of Apache Mesos).</summary>
    public static bool IsRole(string role) =>
        role == "*" || role.Split('/').All(x => x is not ("" or "." or ".." or "*") && x[0] != '-' && !x.Any(c => char.IsWhiteSpace(c) || c is '\b' or '\x7f'));
}
