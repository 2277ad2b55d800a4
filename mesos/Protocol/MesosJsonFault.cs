namespace Declarative.Mesos.Protocol;

public enum MesosJsonFaultKind
{
    /// <summary>The bytes are no JSON.</summary>
    Syntax,

    /// <summary>They are, but not of this message: a value has the wrong type or a required field is missing.</summary>
    Conversion,
}

/// <summary>Why a message could not be read from JSON; <see cref="Text"/> is worded as Mesos words it.</summary>
public readonly record struct MesosJsonFault(MesosJsonFaultKind Kind, string Text);
