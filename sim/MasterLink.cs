using System.Runtime.CompilerServices;
using Declarative.Api;
using Declarative.Mesos.Protocol;
using Declarative.Mesos.Protocol.SchedulerApi;
using Declarative.Mesos.Scheduler;
using EventType = Declarative.Mesos.Protocol.SchedulerApi.Event.Types.Type;
using CallType = Declarative.Mesos.Protocol.SchedulerApi.Call.Types.Type;

using Task = System.Threading.Tasks.Task;

namespace Declarative.Sim;

/// <summary>The Mesos master as one instance of Placement reaches it: streams break, calls are lost, and after <see cref="Cut"/> nothing comes through.</summary>
internal sealed class MasterLink(World world, Chances chances, Func<IMaster> client, Witness witness, Mutant mutant) : IMaster
{
    private readonly CancellationTokenSource _cut = new();
    private IMaster? _master;

    /// <summary>The process is gone: its connections close, its code hears nothing more.</summary>
    public void Cut() => _cut.Cancel();

    public async IAsyncEnumerable<Event> Subscribe(Call.Types.Subscribe subscribe, FrameworkID? id, [EnumeratorCancellation] CancellationToken stop)
    {
        await Travel(stop);
        _master = client();
        witness.Subscribed();
        using var both = CancellationTokenSource.CreateLinkedTokenSource(stop, _cut.Token);
        await using var events = _master.Subscribe(subscribe, id, both.Token).GetAsyncEnumerator(both.Token);
        while (await Next(events))
        {
            await Travel(stop);
            if (events.Current.Type == EventType.Rescind) chances.Happened(Fault.OfferRescinded);
            yield return events.Current;
            if (events.Current.Type == EventType.Update && chances.Take(Fault.UpdateRepeated)) yield return events.Current.Clone();
            if (chances.Take(Fault.MasterStreamLost)) throw new MasterUnavailable("simulated: the stream broke");
        }
    }

    public async Task Call(Call call, CancellationToken stop)
    {
        await Travel(stop);
        witness.Calling(call);
        if (chances.Take(Fault.MasterCallLost))
        {
            if (call.Type == CallType.Acknowledge) chances.Happened(Fault.AcknowledgementLost);
            throw new MasterUnavailable("simulated: the call was lost");
        }
        if (call.Type == CallType.Accept && mutant is Mutant.LaunchWithoutVolume or Mutant.VolumeDestroyed) call = Mutated(call);
        witness.Called(call);
        if (mutant == Mutant.AcceptTwice && call.Type == CallType.Accept) witness.Called(call);
        await (_master ?? client()).Call(mutant == Mutant.TwoTasksForOnePod && call.Type == CallType.Accept ? Doubled(call) : call, stop);
        await Gone();
    }

    private async ValueTask<bool> Next(IAsyncEnumerator<Event> events)
    {
        try
        {
            return await events.MoveNextAsync();
        }
        catch (OperationCanceledException) when (_cut.IsCancellationRequested)
        {
            await Gone();
            return false;
        }
    }

    private async Task Travel(CancellationToken stop)
    {
        await Gone();
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(3)), world.Time, stop);
        await Gone();
    }

    private Task Gone() => _cut.IsCancellationRequested ? Completion.New().Task : Task.CompletedTask;

    /// <summary>The seeded bugs: a task without its volume; a volume destroyed in the place of a launch with it.</summary>
    private Call Mutated(Call call)
    {
        var mutated = call.Clone();
        foreach (var operation in mutated.Accept.Operations)
        {
            foreach (var task in operation.Launch?.TaskInfos ?? [])
            {
                if (task.Resources.FirstOrDefault(x => x.Disk?.Persistence is not null) is not { } volume) continue;
                task.Resources.Remove(volume);
                if (mutant != Mutant.VolumeDestroyed) continue;
                var destroy = new Mesos.Protocol.Offer.Types.Operation { Type = Mesos.Protocol.Offer.Types.Operation.Types.Type.Destroy, Destroy = new() };
                destroy.Destroy.Volumes.Add(volume);
                mutated.Accept.Operations.Insert(0, destroy);
                return mutated;
            }
        }
        return mutated;
    }

    /// <summary>The seeded bug: each launched task a second time under the next attempt's id.</summary>
    private static Call Doubled(Call call)
    {
        var doubled = call.Clone();
        foreach (var operation in doubled.Accept.Operations)
        {
            if (operation.Launch is not { } launch) continue;
            foreach (var task in launch.TaskInfos.ToList())
            {
                var second = task.Clone();
                var dot = second.TaskId.Value.LastIndexOf('.');
                second.TaskId.Value = string.Concat(second.TaskId.Value.AsSpan(0, dot + 1), "99");
                second.Resources.Clear();
                second.Resources.Add(task.Resources.Where(x => x.Name is "cpus" or "mem").Select(x =>
                {
                    var little = x.Clone();
                    little.Scalar.Value = x.Name == "cpus" ? 0.01 : 32;
                    return little;
                }));
                launch.TaskInfos.Add(second);
            }
        }
        return doubled;
    }
}
