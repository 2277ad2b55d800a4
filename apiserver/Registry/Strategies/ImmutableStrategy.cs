using System.Text.Json.Nodes;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>A kind whose one rule beside its schema is that some of its fields stay as they were made.</summary>
/// <param name="parent">"" or "spec": where the fields are.</param>
/// <param name="needed">One of them that must be there; "" for none.</param>
internal sealed class ImmutableStrategy(string parent, string needed, params string[] fields) : Strategy
{
    public bool WithStatus { init => HasStatus = value; }

    public override void Validate(JsonObject json, JsonObject? old, List<StatusCause> causes)
    {
        var part = parent.Length == 0 ? json : json.Need(parent);
        if (needed.Length > 0) Rules.Required(part, parent, needed, causes);
        Rules.Immutable(part, parent.Length == 0 ? old : old?.Object(parent), parent, causes, fields);
    }
}
