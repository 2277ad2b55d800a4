using Declarative.Api;

namespace Declarative.ApiServer.Storage;

/// <summary>A write in the queue of the <see cref="RevisionLog"/>, and who waits for it: in the thread of a round what comes after goes on in that thread.</summary>
internal sealed class PendingCommit(Mutation mutation)
{
    private readonly Round? _round = Round.Current;
    private readonly TaskCompletionSource<CommitResult> _done = Round.Current is null ? Completion.New<CommitResult>() : new();
    private CommitResult _result;
    private Exception? _failure;

    public Mutation Mutation { get; } = mutation;

    public JournalRecord? Record { get; set; }

    public Stored? Result { get; set; }

    public Task<CommitResult> Answer => _done.Task;

    /// <summary>The writer has done with it.</summary>
    public bool IsAnswered { get; private set; }

    /// <summary>For the writer alone, as the next one.</summary>
    public void Tell(CommitResult result)
    {
        if (IsAnswered) return;
        (IsAnswered, _result) = (true, result);
        GoOn();
    }

    public void Fail(Exception failure)
    {
        if (IsAnswered) return;
        (IsAnswered, _failure) = (true, failure);
        GoOn();
    }

    private void GoOn()
    {
        if (_round is null) Complete(this);
        else _round.Post(Complete, this);
    }

    private static readonly Action<object> Complete = static answered =>
    {
        var pending = (PendingCommit)answered;
        if (pending._failure is { } failure) pending._done.SetException(failure);
        else pending._done.SetResult(pending._result);
    };
}
