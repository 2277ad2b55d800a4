using System.Globalization;
using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Matching;

/// <summary>
/// Pods that are of use only together: those of one namespace with the same label <see cref="Label"/>. None is launched before at least
/// <see cref="Size"/> of them run or can be launched in the same round; so two groups never hold halves of what each needs.
/// </summary>
internal sealed record Gang(string Namespace, string Name, int Size)
{
    public const string Label = "declarative.mesos/group";

    /// <summary>How many belong together at least; a whole number from 1.</summary>
    public const string SizeAnnotation = "declarative.mesos/group-size";

    /// <summary>null: the pod is in no group, or its group says no size that can be read.</summary>
    public static Gang? Of(Pod pod) =>
        pod.Metadata.Labels.TryGetValue(Label, out var name) && pod.Metadata.Annotations.TryGetValue(SizeAnnotation, out var text)
        && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var size) && size > 0
            ? new(pod.Namespace, name, size) : null;

    public bool Includes(Pod pod) => pod.Namespace == Namespace && pod.Metadata.Labels.GetValueOrDefault(Label) == Name && !pod.Metadata.IsDeleting;
}

/// <param name="Text">How many of the group would fit.</param>
/// <param name="Next">Why the next one would not, with the others in their places; null where there are not enough pods.</param>
internal sealed record GangRefusal(string Text, Refusal? Next);
