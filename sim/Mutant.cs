namespace Declarative.Sim;

/// <summary>Bugs seeded on purpose, each of which a checker must find.</summary>
public enum Mutant
{
    None,

    /// <summary>Tasks are launched before the pod says so.</summary>
    AcceptBeforeIntent,

    /// <summary>A launch whose answer takes long is sent a second time.</summary>
    AcceptTwice,

    /// <summary>After 410 a watch goes on from now instead of listing again.</summary>
    NoRelistAfterExpiry,

    /// <summary>Placement does not see the traffic reports.</summary>
    TermBeforeReports,

    /// <summary>Every launch is done twice.</summary>
    TwoTasksForOnePod,

    /// <summary>The Endpoints controller does not see pods becoming unready.</summary>
    ReadyEndpointOfUnreadyPod,

    /// <summary>A second writer of Pod.status.</summary>
    SecondWriter,

    /// <summary>The store acknowledges what it does not keep.</summary>
    ForgottenWrite,

    /// <summary>An emulated client keeps using an address that was withdrawn.</summary>
    StaleClient,

    /// <summary>The DNS part returns though nobody stopped it.</summary>
    PartEnds,

    /// <summary>Tasks are launched without their persistent volumes.</summary>
    LaunchWithoutVolume,

    /// <summary>With a launch goes the destruction of its volume's reservation.</summary>
    VolumeDestroyed,

    /// <summary>The pods of an ordered set are made all at once.</summary>
    SetAllAtOnce,

    /// <summary>The StatefulSet controller deletes by force: the next pod of an ordinal begins beside the one before.</summary>
    SetForcesDeletion,

    /// <summary>The Job controller wants one completion more than it is asked for.</summary>
    JobWantsMore,

    /// <summary>A wait that is completed by the thread pool.</summary>
    OtherThread,
}
