namespace Declarative.Sim;

/// <summary>What emulated clients of balancer and DNS tell: whom they reached, by whose word, and how long it took.</summary>
public sealed class SimulatedTraffic
{
    internal SimulatedTraffic(Witness witness, Mutant mutant) => (Witness, Mutant) = (witness, mutant);

    /// <summary>The bug seeded into this world.</summary>
    public Mutant Mutant { get; }

    private Witness Witness { get; }

    /// <summary>A request goes to this pod now.</summary>
    /// <param name="report">The TrafficReport of the instance that named the pod.</param>
    public void Routed(string report, string podUid) => Witness.Routed(report, podUid, "is sent a request");

    /// <summary>A request that was sent has been answered.</summary>
    public void Answered(string report, string podUid) => Witness.Routed(report, podUid, "still answers a request");

    /// <summary>An answer that a client will go by: part of the history.</summary>
    public void Told(string report, string what) => Witness.Note($"client of {report}: {what}");

    /// <summary>
    /// The pod of a workload whose task has this host port, the last one that got it; "" where none has. The port of an agent that was lost may be
    /// another workload's by now, on the agent in its place: who said the one did not send anybody to the other.
    /// </summary>
    /// <param name="workload"><c>namespace/name</c>.</param>
    public string PodAt(int hostPort, string workload) => Witness.PodAt(hostPort, workload);
}
