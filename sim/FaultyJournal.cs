using Declarative.Api;
using Declarative.ApiServer.Storage;

namespace Declarative.Sim;

/// <summary>A journal that outlives crashed API servers, and whose disk sometimes refuses a batch or is slow.</summary>
internal sealed class FaultyJournal(World world, Chances chances, Witness witness) : IJournal
{
    private readonly MemoryJournal _disk = new();

    /// <summary>The seeded bug of a store that acknowledges what it does not keep.</summary>
    public bool ForgetsWrites { get; init; }

    public Task<long> Load(ReadObject each, CancellationToken stop) => _disk.Load(each, stop);

    public async Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(3)), world.Time, CancellationToken.None);
        if (chances.Take(Fault.JournalRefused)) throw new JournalException("simulated: no space is left");
        if (ForgetsWrites && world.Random.Next(50) == 0) return;
        await _disk.Append(batch, stop);
        foreach (var record in batch) witness.Durable(record);
    }

    public Task Advance(long revision, CancellationToken stop) => _disk.Advance(revision, stop);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>A view of the disk for one server; a server that has crashed writes no more.</summary>
    public IJournal Open(Func<bool> crashed) => new Mount(this, crashed);

    private sealed class Mount(FaultyJournal disk, Func<bool> crashed) : IJournal
    {
        public Task<long> Load(ReadObject each, CancellationToken stop) => disk.Load(each, stop);

        public async Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
        {
            if (crashed()) await Never();
            await disk.Append(batch, stop);
            if (crashed()) await Never();
        }

        public Task Advance(long revision, CancellationToken stop) => disk.Advance(revision, stop);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private static Task Never() => Completion.New().Task;
    }
}
