using System.Collections.Concurrent;
using System.Text.Json;
using Google.Protobuf.Reflection;

namespace Declarative.Mesos.Protocol;

/// <summary>The values of one enum by name and by number, boxed once.</summary>
internal sealed class EnumPlan
{
    private static readonly ConcurrentDictionary<EnumDescriptor, EnumPlan> Plans = new();

    private readonly Dictionary<string, object> _byName = new(StringComparer.Ordinal);
    private readonly Dictionary<int, JsonEncodedText> _byNumber = [];

    private EnumPlan(EnumDescriptor descriptor)
    {
        foreach (var value in descriptor.Values)
        {
            _byName[value.Name] = value.Number;
            _byNumber[value.Number] = JsonEncodedText.Encode(value.Name);
        }
    }

    public static EnumPlan Of(EnumDescriptor descriptor) => Plans.GetOrAdd(descriptor, static key => new EnumPlan(key));

    public object? Number(string name) => _byName.GetValueOrDefault(name);

    public bool TryName(int number, out JsonEncodedText name) => _byNumber.TryGetValue(number, out name);
}
