using System.Text.Json;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>The fields of an object, and the fields in which two objects differ.</summary>
internal static class FieldWalk
{
    // What no writer owns: identity and what the server sets.
    private static readonly FieldSet Unowned = FieldSet.Read(JsonTree.Parse(
        """
        {"f:apiVersion":{},"f:kind":{},"f:metadata":{".":{},"f:name":{},"f:namespace":{},"f:uid":{},"f:resourceVersion":{},"f:generation":{},
        "f:creationTimestamp":{},"f:deletionTimestamp":{},"f:deletionGracePeriodSeconds":{},"f:selfLink":{},"f:managedFields":{}}}
        """u8.ToArray()));

    /// <summary>The fields that an applied configuration names.</summary>
    public static FieldSet Of(JsonTree root, SchemaType type)
    {
        var set = new FieldSet();
        Fill(set, root, FieldPlace.Root(type), false);
        return set.Except(Unowned);
    }

    /// <summary>What was added or changed, and what was removed. A null <paramref name="before"/> is an object that did not exist.</summary>
    public static (FieldSet Changed, FieldSet Removed) Compare(JsonTree? before, JsonTree after, SchemaType type)
    {
        var (changed, removed) = (new FieldSet(), new FieldSet());
        Compare(before ?? JsonTree.Object(), after, FieldPlace.Root(type), changed, removed);
        return (changed.Except(Unowned), removed.Except(Unowned));
    }

    private static void Fill(FieldSet set, JsonTree value, FieldPlace place, bool containers)
    {
        switch (place.Of(value))
        {
            case FieldForm.Whole:
                set.Owned = true;
                break;
            case FieldForm.Members:
                foreach (var (name, member) in value.Members!)
                {
                    var child = set.Child("f:" + name);
                    Fill(child, member, place.Member(name), containers);
                    child.Owned |= place.HasFreeNames || member.Members is { Count: 0 };
                }

                set.Owned |= containers && place.HasFreeNames;
                break;
            default:
                foreach (var item in value.Items!)
                {
                    if (place.ElementOf(item) is { } element)
                    {
                        var child = set.Child(element);
                        if (item.Members is not null)
                        {
                            Fill(child, item, place.Element(), containers);
                        }

                        child.Owned = true;
                    }
                }

                set.Owned |= containers;
                break;
        }
    }

    private static void Compare(JsonTree? before, JsonTree? after, FieldPlace place, FieldSet changed, FieldSet removed)
    {
        if (before is null || after is null)
        {
            Fill(before is null ? changed : removed, (before ?? after)!, place, containers: true);
            return;
        }

        var form = place.Of(after);
        if (form == FieldForm.Whole || form != place.Of(before))
        {
            changed.Owned |= !JsonTree.Same(before, after);
            return;
        }

        if (form == FieldForm.Members)
        {
            foreach (var name in before.Members!.Keys.Union(after.Members!.Keys, StringComparer.Ordinal))
            {
                Step(before[name], after[name], place.Member(name), "f:" + name, changed, removed, place.HasFreeNames);
            }

            return;
        }

        var old = Elements(before.Items!, place);
        var now = Elements(after.Items!, place);
        foreach (var element in old.Keys.Union(now.Keys, StringComparer.Ordinal))
        {
            Step(old.GetValueOrDefault(element), now.GetValueOrDefault(element), place.Element(), element, changed, removed, true);
        }
    }

    private static void Step(JsonTree? before, JsonTree? after, FieldPlace place, string element, FieldSet changed, FieldSet removed, bool ownsItself)
    {
        if (before is not null && after is not null)
        {
            if (!JsonTree.Same(before, after))
            {
                Compare(before, after, place, changed.Child(element), removed.Child(element));
            }

            return;
        }

        var child = (before is null ? changed : removed).Child(element);
        Fill(child, (before ?? after)!, place, containers: true);
        child.Owned |= ownsItself || (before ?? after)!.Members is { Count: 0 };
    }

    /// <summary>The elements of a list by their path element; of equal ones the first.</summary>
    public static OrderedDictionary<string, JsonTree> Elements(List<JsonTree> items, FieldPlace place)
    {
        var elements = new OrderedDictionary<string, JsonTree>(StringComparer.Ordinal);
        foreach (var item in items)
        {
            if (place.ElementOf(item) is { } element)
            {
                elements.TryAdd(element, item);
            }
        }

        return elements;
    }
}
