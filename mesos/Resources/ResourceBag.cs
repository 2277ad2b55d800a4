using System.Text;
using Declarative.Mesos.Protocol;

namespace Declarative.Mesos.Resources;

/// <summary>
/// A sum of resources with Mesos' algebra: scalars in thousandths, ranges and sets as sets; resources with different reservations or
/// disks are different things. A shared volume is one thing however many have it: whoever takes it leaves it, and whoever gives it back adds nothing;
/// only a conversion makes or unmakes it. Mutable; a bag has few entries, so they are searched in order. Not thread-safe.
/// </summary>
public sealed class ResourceBag
{
    private readonly List<Entry> entries;

    public ResourceBag() => entries = [];

    private ResourceBag(List<Entry> entries) => this.entries = entries;

    public bool IsEmpty => entries.Count == 0;

    public static ResourceBag Of(IEnumerable<Resource> resources)
    {
        var bag = new ResourceBag();
        foreach (var resource in resources)
            bag.Add(resource);
        return bag;
    }

    public ResourceBag Clone() => new([.. entries]);

    /// <summary>Thousandths of all scalars of this name, whoever they are reserved for.</summary>
    public long Scalar(string name)
    {
        long sum = 0;
        foreach (var entry in entries)
        {
            if (entry.Identity.Name == name)
                sum += entry.Milli;
        }

        return sum;
    }

    /// <summary>All ranges of this name, for example <c>ports</c>.</summary>
    public RangeSet Ranges(string name)
    {
        var sum = RangeSet.Empty;
        foreach (var entry in entries)
        {
            if (entry.Identity.Name == name)
                sum = sum.Add(entry.Ranges);
        }

        return sum;
    }

    /// <summary>The names of the scalars in the bag with their thousandths, in the order in which they were added.</summary>
    public IEnumerable<(string Name, long Milli)> Scalars =>
        entries.Where(entry => entry.Identity.Type == Value.Types.Type.Scalar).Select(entry => (entry.Identity.Name, entry.Milli));

    /// <summary>The same, of what is neither reserved nor revocable.</summary>
    internal IEnumerable<(string Name, long Milli)> UnreservedScalars =>
        entries
            .Where(entry => entry.Identity is { Type: Value.Types.Type.Scalar, ReservedFor: null, IsRevocable: false })
            .Select(entry => (entry.Identity.Name, entry.Milli));

    public void Add(Resource resource) => Add(EntryOf(resource));

    public void Add(ResourceBag other)
    {
        foreach (var entry in other.entries)
            Add(entry);
    }

    /// <exception cref="InvalidOperationException">The bag does not contain the other one.</exception>
    public void Subtract(ResourceBag other) => Subtract(other, withShared: false);

    private void Subtract(ResourceBag other, bool withShared)
    {
        foreach (var entry in other.entries)
        {
            var at = Find(entry.Identity);
            if (at < 0 || !entries[at].Contains(entry))
                throw new InvalidOperationException($"{this} does not contain {other}.");
            if (entry.Identity.IsShared && !withShared)
                continue;
            var left = entries[at].Subtract(entry);
            if (left.IsEmpty)
                entries.RemoveAt(at);
            else
                entries[at] = left;
        }
    }

    public bool Contains(ResourceBag other)
    {
        foreach (var entry in other.entries)
        {
            var at = Find(entry.Identity);
            if (at < 0 || !entries[at].Contains(entry))
                return false;
        }

        return true;
    }

    /// <summary>Turns a part of the bag into something else.</summary>
    /// <exception cref="InvalidOperationException">The bag does not contain what the conversion takes.</exception>
    internal void Convert(Conversion conversion)
    {
        Subtract(conversion.From, withShared: true);
        Add(conversion.To);
    }

    /// <summary>The shared volumes in the bag.</summary>
    internal ResourceBag Shared() => new([.. entries.Where(entry => entry.Identity.IsShared)]);

    /// <summary>Without shared volumes.</summary>
    internal ResourceBag WithoutShared() =>
        entries.Exists(entry => entry.Identity.IsShared) ? new([.. entries.Where(entry => !entry.Identity.IsShared)]) : this;

    /// <summary>Whether any of these is in the bag.</summary>
    internal bool HasAnyOf(ResourceBag others) => others.entries.Exists(entry => Find(entry.Identity) >= 0);

    /// <summary>These volumes are no more.</summary>
    internal void Forget(ResourceBag volumes) => entries.RemoveAll(entry => volumes.Find(entry.Identity) >= 0);

    /// <summary>The dynamic reservations and persistent volumes: what an agent must keep on disk.</summary>
    internal ResourceBag Checkpointed() => new([.. entries.Where(entry => entry.Identity.IsCheckpointed)]);

    /// <summary>Makes reservations and volumes again out of an agent's plain resources; what there is no room for is left out.</summary>
    internal void Restore(IEnumerable<Resource> checkpointed)
    {
        foreach (var resource in checkpointed)
        {
            var from = Of([Conversion.Static(resource)]);
            if (Contains(from))
                Convert(new(from, Of([resource])));
        }
    }

    /// <summary>The part that nobody has reserved.</summary>
    internal ResourceBag Unreserved() => new([.. entries.Where(entry => entry.Identity.ReservedFor is null)]);

    /// <summary>The parts by the role they are reserved for, the most refined one, in the order of their names.</summary>
    internal IEnumerable<(string Role, ResourceBag Resources)> Reserved() =>
        entries
            .Where(entry => entry.Identity.ReservedFor is not null)
            .GroupBy(entry => entry.Identity.ReservedFor!, StringComparer.Ordinal)
            .OrderBy(role => role.Key, StringComparer.Ordinal)
            .Select(role => (role.Key, new ResourceBag([.. role])));

    /// <summary>At most so many thousandths of this scalar, of what nobody has reserved; the rest of it is taken out.</summary>
    internal void Cap(string name, long milli)
    {
        for (var i = entries.Count - 1; i >= 0; i--)
        {
            var entry = entries[i];
            if (entry.Identity.Name != name || entry.Identity.ReservedFor is not null || entry.Identity.IsRevocable)
                continue;
            var kept = Math.Clamp(milli, 0, entry.Milli);
            milli -= kept;
            if (kept == 0)
                entries.RemoveAt(i);
            else
                entries[i] = entry with { Milli = kept };
        }
    }

    /// <summary>Without what may be taken back at any time.</summary>
    internal ResourceBag WithoutRevocable() =>
        entries.Exists(entry => entry.Identity.IsRevocable) ? new([.. entries.Where(entry => !entry.Identity.IsRevocable)]) : this;

    /// <summary>
    /// The part that is reserved for one of the roles or for nobody: what a framework in that role can be offered. In the order of real
    /// offers: ranges and sets, what is reserved, plain scalars.
    /// </summary>
    internal ResourceBag UsableBy(string role)
    {
        var usable = new List<Entry>(entries.Count);
        Add(entry => entry.Identity is { ReservedFor: null, Type: not Value.Types.Type.Scalar });
        Add(entry => entry.Identity.ReservedFor is not null && Usable(entry.Identity, role));
        Add(entry => entry.Identity is { ReservedFor: null, Type: Value.Types.Type.Scalar });
        return new(usable);

        void Add(Func<Entry, bool> which)
        {
            foreach (var entry in entries)
            {
                if (which(entry))
                    usable.Add(entry);
            }
        }
    }

    /// <summary>The messages of the v1 API.</summary>
    /// <param name="allocatedTo">The role in <c>allocation_info</c>, or null for none.</param>
    public IEnumerable<Resource> ToProtocol(string? allocatedTo = null)
    {
        foreach (var entry in entries)
        {
            var resource = entry.Identity.ToProtocol();
            switch (entry.Identity.Type)
            {
                case Value.Types.Type.Scalar:
                    resource.Scalar = new() { Value = Milli.ToDouble(entry.Milli) };
                    break;
                case Value.Types.Type.Ranges:
                    resource.Ranges = entry.Ranges.ToProtocol();
                    break;
                default:
                    resource.Set = new();
                    resource.Set.Item.Add(entry.Set);
                    break;
            }

            if (allocatedTo is not null)
                resource.AllocationInfo = new() { Role = allocatedTo };
            yield return resource;
        }
    }

    /// <summary>As Mesos prints it: <c>cpus:0.1; ports:[31000-31005]</c>.</summary>
    public override string ToString() => ToText(null);

    /// <summary>As Mesos prints it in its messages: <c>cpus(allocated: web):0.1; mem(allocated: web):32</c>.</summary>
    public string ToText(string? allocatedTo)
    {
        if (IsEmpty)
            return "{}";
        var text = new StringBuilder();
        foreach (var entry in entries)
        {
            if (text.Length > 0)
                text.Append("; ");
            entry.Identity.Print(text, allocatedTo);
            text.Append(':');
            _ = entry.Identity.Type switch
            {
                Value.Types.Type.Scalar => text.Append(Milli.ToText(entry.Milli)),
                Value.Types.Type.Ranges => text.Append(entry.Ranges),
                _ => text.Append('{').AppendJoin(", ", entry.Set).Append('}'),
            };
        }

        return text.ToString();
    }

    private static bool Usable(ResourceIdentity identity, string role) =>
        identity.ReservedFor is not { } owner || owner == role || role.StartsWith(owner + "/", StringComparison.Ordinal);

    private static Entry EntryOf(Resource resource) =>
        new(
            ResourceIdentity.Of(resource),
            resource.Type == Value.Types.Type.Scalar ? Milli.Of(resource.Scalar?.Value ?? 0) : 0,
            resource.Type == Value.Types.Type.Ranges ? RangeSet.Of(resource.Ranges) : RangeSet.Empty,
            resource is { Type: Value.Types.Type.Set, Set: { } set } ? [.. set.Item.Distinct()] : []
        );

    private void Add(Entry entry)
    {
        if (entry.IsEmpty)
            return;
        var at = Find(entry.Identity);
        if (at < 0)
            entries.Add(entry);
        else if (!entry.Identity.IsShared)
            entries[at] = entries[at].Add(entry);
    }

    private int Find(ResourceIdentity identity)
    {
        for (var i = 0; i < entries.Count; i++)
        {
            if (ReferenceEquals(entries[i].Identity, identity) || entries[i].Identity.Equals(identity))
                return i;
        }

        return -1;
    }

    private readonly record struct Entry(ResourceIdentity Identity, long Milli, RangeSet Ranges, string[] Set)
    {
        public bool IsEmpty => Milli == 0 && Ranges.IsEmpty && Set.Length == 0;

        public bool Contains(Entry other) => Milli >= other.Milli && Ranges.Contains(other.Ranges) && (other.Set.Length == 0 || other.Set.All(Set.Contains));

        public Entry Add(Entry other) =>
            this with
            {
                Milli = Milli + other.Milli,
                Ranges = Ranges.Add(other.Ranges),
                Set = other.Set.Length == 0 ? Set : [.. Set.Union(other.Set)],
            };

        public Entry Subtract(Entry other) =>
            this with
            {
                Milli = Milli - other.Milli,
                Ranges = Ranges.Subtract(other.Ranges),
                Set = other.Set.Length == 0 ? Set : [.. Set.Except(other.Set)],
            };
    }
}
