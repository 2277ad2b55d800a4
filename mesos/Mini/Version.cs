namespace Declarative.Mesos.Mini;

/// <summary>What the embedded cluster says it is: the last release of Mesos (architecture.md, decision 16).</summary>
public static class Version
{
    public const string Text = "1.11.0";
}
