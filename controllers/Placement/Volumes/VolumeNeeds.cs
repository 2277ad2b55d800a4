namespace Declarative.Controllers.Placement.Volumes;

/// <summary>What a pod's claims ask of the agent that it goes to.</summary>
/// <param name="Blocked">Why no agent will do now; "" = some may.</param>
/// <param name="Agent">The agent that has the pod's volumes; "" = any.</param>
/// <param name="Place">That agent's volumes in words, for the refusals of the others.</param>
/// <param name="Volumes">Persistence ids that must be among what the agent offers.</param>
/// <param name="NewDisk">Thousandths of MiB of disk for volumes that are to be made where the pod goes.</param>
/// <param name="ToMake">Names of the claims that they are for.</param>
internal sealed record VolumeNeeds(string Blocked, string Agent, string Place, IReadOnlyList<string> Volumes, long NewDisk, IReadOnlyList<string> ToMake)
{
    public static VolumeNeeds None { get; } = new("", "", "", [], 0, []);

    public bool Any => Blocked.Length > 0 || Agent.Length > 0 || NewDisk > 0;

    /// <summary>Equal for equal needs.</summary>
    public string Key => Any ? $"{Blocked}|{Agent}|{string.Join(',', Volumes)}|{NewDisk}|{string.Join(',', ToMake)}" : "";
}
