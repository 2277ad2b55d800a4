using Declarative.Mesos.Protocol;
using Google.Protobuf;

namespace Declarative.Mesos.Mini.Link;

/// <summary>What an agent keeps of reservations, volumes and the operations that made them, as values: each step gives the next one.</summary>
public static class Checkpoints
{
    /// <summary>
    /// What is kept when the master wants this: its resources and no others, and its operations, now finished, beside earlier ones that are not
    /// acknowledged yet.
    /// </summary>
    /// <param name="newUuid">Ids of the operations' statuses.</param>
    /// <returns>What is kept from now on, and the operations as the master is to be told of them.</returns>
    public static (ToAgent.Types.Checkpoint Kept, IReadOnlyList<Operation> Finished) Take(
        ToAgent.Types.Checkpoint kept,
        ToAgent.Types.Checkpoint wanted,
        Func<ByteString> newUuid
    )
    {
        List<Operation> finished = [];
        List<Operation> all = [.. kept.Operations];
        foreach (var operation in wanted.Operations)
        {
            // The master may not have heard of it the first time.
            var known = all.Find(one => one.Uuid.Equals(operation.Uuid));
            if (known is null)
                all.Add(known = Finished(operation, newUuid()));
            finished.Add(known);
        }

        return (Of(wanted.Resources, all, [.. kept.Frameworks, .. wanted.Frameworks]), finished);
    }

    /// <summary>Without the operations that nobody waits for any more.</summary>
    public static ToAgent.Types.Checkpoint Without(ToAgent.Types.Checkpoint kept, Func<Operation, bool> gone) =>
        Of(kept.Resources, [.. kept.Operations.Where(one => !gone(one))], kept.Frameworks);

    private static ToAgent.Types.Checkpoint Of(IEnumerable<Resource> resources, List<Operation> operations, IEnumerable<FrameworkInfo> frameworks) =>
        new()
        {
            Resources = { resources },
            Operations = { operations },
            Frameworks = { frameworks.Where(owner => operations.Exists(one => one.FrameworkId.Equals(owner.Id))).DistinctBy(owner => owner.Id) },
        };

    private static Operation Finished(Operation operation, ByteString uuid)
    {
        var done = operation.Clone();
        done.LatestStatus = new()
        {
            OperationId = operation.Info.Id,
            State = OperationState.OperationFinished,
            Uuid = new() { Value = uuid },
            AgentId = operation.AgentId,
        };
        done.Statuses.Add(done.LatestStatus);
        return done;
    }
}
