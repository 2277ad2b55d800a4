using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Storage;

/// <summary>What a backup says about itself.</summary>
/// <param name="Version">Of the product that wrote it.</param>
public sealed record BackupOrigin(string Version, DateTimeOffset At);

/// <summary>
/// Every object as of one revision in a file: gzip of JSON lines. The first line tells format, revision and number of objects; then comes one
/// object a line with its place; the last line has the SHA-256 of all bytes before it, so that a file that was cut or changed is known.
/// Secrets are in it as they are: whoever may read the file may read them. The history of objects is not in it.
/// </summary>
public static class Backup
{
    private const string Format = "declarative-backup/1";

    /// <summary>Objects of one commit while a backup is restored.</summary>
    private const int BatchObjectsMax = 500;

    internal static async Task Write(Stream to, IReadOnlyList<Stored> objects, long revision, BackupOrigin origin, CancellationToken stop)
    {
        await using var gzip = new GZipStream(to, CompressionLevel.Fastest, leaveOpen: true);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await Line(JsonSerializer.SerializeToUtf8Bytes(new Head(Format, revision, objects.Count, origin.Version, origin.At)));
        foreach (var stored in objects)
        {
            var place = JsonSerializer.SerializeToUtf8Bytes(new Place(KindName.Of(stored.Key.Kind), stored.Key.Namespace, stored.Key.Name, stored.Uid, stored.Revision));
            // {"place":{…},"object":{…}}: stored bytes are compact and have no line ends.
            await Line([.. "{\"place\":"u8, .. place, .. ",\"object\":"u8, .. stored.Json.Span, (byte)'}']);
        }
        var sum = Convert.ToHexStringLower(hash.GetHashAndReset());
        await gzip.WriteAsync(Encoding.UTF8.GetBytes($"{{\"sha256\":\"{sum}\"}}\n"), stop);

        async Task Line(byte[] json)
        {
            byte[] line = [.. json, (byte)'\n'];
            hash.AppendData(line);
            await gzip.WriteAsync(line, stop);
        }
    }

    /// <summary>Reads a backup to its end. Throws <see cref="BackupException"/> where it could not be restored.</summary>
    public static async Task<(int Objects, long Revision)> Check(string file, CancellationToken stop)
    {
        var (head, records) = await Read(file, stop);
        return (records.Count, head.Revision);
    }

    /// <summary>Puts every object of a backup into an empty journal. The whole file is checked before the first is written.</summary>
    /// <returns>How many objects, and the revision that they are of.</returns>
    /// <exception cref="BackupException">The file is no backup, is damaged, or the journal is not empty.</exception>
    /// <exception cref="JournalException">The journal could not keep it.</exception>
    public static async Task<(int Objects, long Revision)> Restore(string file, IJournal journal, CancellationToken stop)
    {
        var (head, records) = await Read(file, stop);
        if ((await journal.Load(stop)) is { Objects.Count: > 0 } present) throw new BackupException($"the journal has {present.Objects.Count} objects: a backup is restored into an empty one");
        try
        {
            foreach (var batch in Batches(records, journal)) await journal.Append(batch, stop);
            // Deletions count too: none of their revisions may be given out again.
            await journal.Advance(head.Revision, stop);
        }
        catch (JournalBehindException e)
        {
            throw new BackupException("another API server writes into the journal: stop them all, empty it, and restore again", e);
        }
        return (records.Count, head.Revision);
    }

    private static IEnumerable<IReadOnlyList<JournalRecord>> Batches(List<JournalRecord> records, IJournal journal)
    {
        var (batch, bytes) = (new List<JournalRecord>(), 0L);
        foreach (var record in records)
        {
            var size = record.Json!.Value.Length;
            if (batch.Count >= Math.Min(BatchObjectsMax, journal.BatchRecordsMax) || (batch.Count > 0 && bytes + size > journal.BatchBytesMax))
            {
                yield return batch;
                (batch, bytes) = ([], 0);
            }
            batch.Add(record);
            bytes += size;
        }
        if (batch.Count > 0) yield return batch;
    }

    private static async Task<(Head Head, List<JournalRecord> Records)> Read(string file, CancellationToken stop)
    {
        try
        {
            await using var gzip = new GZipStream(File.OpenRead(file), CompressionMode.Decompress);
            using var reader = new StreamReader(gzip, new UTF8Encoding(false, throwOnInvalidBytes: true));
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            if (await reader.ReadLineAsync(stop) is not { } first || JsonSerializer.Deserialize<Head>(first) is not { Format: Format } head)
                throw new BackupException($"{file}: no backup of this format ({Format})");
            hash.AppendData(Encoding.UTF8.GetBytes(first + "\n"));
            var records = new List<JournalRecord>(head.Objects);
            for (var i = 0; i < head.Objects; i++)
            {
                if (await reader.ReadLineAsync(stop) is not { } line) throw new BackupException($"{file}: ends after {i} of {head.Objects} objects");
                hash.AppendData(Encoding.UTF8.GetBytes(line + "\n"));
                records.Add(Record(file, i, line));
            }
            var last = await reader.ReadLineAsync(stop) ?? throw new BackupException($"{file}: ends before its checksum");
            var sum = Convert.ToHexStringLower(hash.GetHashAndReset());
            if (JsonSerializer.Deserialize<Tail>(last)?.Sha256 != sum) throw new BackupException($"{file}: the checksum does not fit: the file was changed or damaged");
            return (head, records);
        }
        catch (Exception e) when (e is InvalidDataException or JsonException or DecoderFallbackException)
        {
            throw new BackupException($"{file}: damaged, or no backup: {e.Message}", e);
        }
    }

    private static JournalRecord Record(string file, int number, string line)
    {
        var json = Canonical.Parse(Encoding.UTF8.GetBytes(line));
        var place = json["place"].Deserialize<Place>() ?? throw new BackupException($"{file}: object {(number + 1).ToString(CultureInfo.InvariantCulture)} has no place");
        var kind = KindName.Find(place.Kind);
        var stored = json["object"]!.AsObject();
        return new(
            place.Revision,
            new(kind ?? throw new BackupException($"{file}: {place.Kind} {place.Namespace}/{place.Name}: this version does not know the kind; restore with the version that wrote the file, or a later one"), place.Namespace, place.Name),
            place.Uid,
            Canonical.Bytes(stored, stored.Text("apiVersion"), stored.Text("kind")));
    }

    private sealed record Head(string Format, long Revision, int Objects, string Version, DateTimeOffset At);

    private sealed record Place(string Kind, string Namespace, string Name, string Uid, long Revision);

    private sealed record Tail([property: System.Text.Json.Serialization.JsonPropertyName("sha256")] string Sha256);
}

/// <summary>A backup that can not be restored; the message says why.</summary>
public sealed class BackupException(string message, Exception? inner = null) : Exception(message, inner);
