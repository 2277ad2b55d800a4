using Declarative.Api;
using Declarative.ApiServer.Storage;

namespace Declarative.Sim;

/// <summary>A journal whose disk is a dictionary: what was appended outlives the API server, not the process.</summary>
public sealed class MemoryJournal : IJournal
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ResourceKey, JournalRecord> _objects = [];
    private long _revision;

    public Task<long> Load(ReadObject each, CancellationToken stop)
    {
        lock (_gate)
        {
            foreach (var record in _objects.Values.OrderBy(x => x.Revision)) each(record.Key, record.Uid, record.Revision, record.Json!.Value.Span);
            return Task.FromResult(_revision);
        }
    }

    public Task Append(IReadOnlyList<JournalRecord> batch, CancellationToken stop)
    {
        lock (_gate)
        {
            foreach (var record in batch)
            {
                if (record.Json is null) _objects.Remove(record.Key);
                else _objects[record.Key] = record;
                _revision = Math.Max(_revision, record.Revision);
            }
        }
        return Task.CompletedTask;
    }

    public Task Advance(long revision, CancellationToken stop)
    {
        lock (_gate) _revision = Math.Max(_revision, revision);
        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
