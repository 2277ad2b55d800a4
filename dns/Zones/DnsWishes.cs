using System.Globalization;
using Declarative.Api.Objects;

namespace Declarative.Dns.Zones;

/// <summary>What an object's annotations ask of its records; a value that is no number in range asks nothing.</summary>
/// <param name="Ttl">Seconds, 0..2^31−1 (RFC 2181, 8): <c>declarative.mesos/dns-ttl</c>.</param>
/// <param name="Priority">Of SRV records, the lowest is tried first (RFC 2782): <c>declarative.mesos/srv-priority</c>.</param>
/// <param name="Weight">Of SRV records, the share among equals: <c>declarative.mesos/srv-weight</c>.</param>
internal readonly record struct DnsWishes(uint Ttl, ushort Priority, ushort Weight)
{
    public const string TtlAnnotation = "declarative.mesos/dns-ttl";
    public const string PriorityAnnotation = "declarative.mesos/srv-priority";
    public const string WeightAnnotation = "declarative.mesos/srv-weight";

    public static DnsWishes Of(ObjectMeta metadata, uint ttl, ushort weight) =>
        new((uint)Number(metadata, TtlAnnotation, int.MaxValue, ttl), (ushort)Number(metadata, PriorityAnnotation, ushort.MaxValue, 0),
            (ushort)Number(metadata, WeightAnnotation, ushort.MaxValue, weight));

    private static long Number(ObjectMeta metadata, string annotation, long max, long otherwise) =>
        metadata.Annotations.GetValueOrDefault(annotation) is { } text
        && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= max
            ? number : otherwise;
}
