using System.Collections.Concurrent;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Protobuf;

/// <summary>The protobuf message of a type: which number is which field, or a message that JSON inlines. Made once per type.</summary>
internal sealed class WireLayout
{
    private static readonly ConcurrentDictionary<SchemaType, WireLayout> Made = new();
    private readonly SortedDictionary<int, Slot> _slots = [];

    /// <summary>In the order of their numbers.</summary>
    public IEnumerable<KeyValuePair<int, Slot>> Slots => _slots;

    public static WireLayout Of(SchemaType type) => Made.GetOrAdd(type, static made =>
    {
        var layout = new WireLayout();
        foreach (var field in made.Fields)
        {
            layout.Add(field, made, 0);
        }

        return layout;
    });

    public Slot? Find(int number) => _slots.GetValueOrDefault(number);

    private void Add(SchemaField field, SchemaType type, int level)
    {
        if (level == field.Protobuf.Count)
        {
            return; // No protobuf form: apiVersion and kind, which the envelope has.
        }

        var number = field.Protobuf[level];
        if (level == field.Protobuf.Count - 1)
        {
            _slots.Add(number, new Slot(field, null, ExplicitZeros.Keeps(type, field)));
            return;
        }

        if (!_slots.TryGetValue(number, out var slot))
        {
            slot = new Slot(null, new WireLayout(), false);
            _slots.Add(number, slot);
        }

        slot.Inlined!.Add(field, type, level + 1);
    }

    /// <summary>A field, or an inlined message.</summary>
    internal sealed record Slot(SchemaField? Field, WireLayout? Inlined, bool KeepsZero);
}
