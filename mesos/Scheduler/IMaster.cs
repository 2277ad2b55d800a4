using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;

namespace Declarative.Mesos.Scheduler;

/// <summary>
/// A Mesos master as one framework sees it: one subscription at a time and calls that belong to it. Implemented over HTTP
/// (a real master or the embedded one) and in process (the embedded one, simulation). Every object is the view of one scheduler.
/// </summary>
/// <remarks>Source: the v1 scheduler API of Mesos; protobuf names and meanings are its own.</remarks>
public interface IMaster
{
    /// <summary>
    /// Subscribes and yields the events of that subscription in order. The first is SUBSCRIBED (or ERROR for a subscription that is
    /// refused, after which the enumeration ends). HEARTBEAT is yielded too. Subscribing again replaces this object's subscription.
    /// </summary>
    /// <param name="subscribe">FrameworkInfo (its <c>id</c> is set from <paramref name="id"/>), suppressed roles, offer constraints.</param>
    /// <param name="id">The framework's id from an earlier SUBSCRIBED, or null for a new framework.</param>
    /// <param name="stop">Ends the enumeration and closes the stream: the master sees the framework as disconnected.</param>
    /// <returns>Ends without exception when the master ended the stream (TEARDOWN, take-over by another instance, ERROR).</returns>
    /// <exception cref="MasterUnavailable">There is no master, the stream was lost, or heartbeats stopped. Subscribe again later.</exception>
    /// <exception cref="CallRefused">The master does not accept the call at all (malformed, not authenticated).</exception>
    IAsyncEnumerable<Event> Subscribe(Call.Types.Subscribe subscribe, FrameworkID? id, CancellationToken stop);

    /// <summary>
    /// Sends any other call; returns when the master has taken it (202), which says nothing about its effect: that comes as events.
    /// </summary>
    /// <param name="call">With <c>framework_id</c>. The object must not be changed afterwards.</param>
    /// <param name="stop">Gives up waiting; the call may have been taken.</param>
    /// <exception cref="MasterUnavailable">Not connected, or the answer was lost: the call may or may not have been taken.</exception>
    /// <exception cref="CallRefused">The master refused the call; the same call will be refused again.</exception>
    Task Call(Call call, CancellationToken stop);
}
