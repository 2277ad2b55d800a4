using System.Buffers.Binary;
using System.Net;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;
using Microsoft.Extensions.Logging;

namespace Declarative.Dns.Server;

/// <summary>
/// A whole zone (AXFR, RFC 5936) or what changed since the version that the client names (IXFR, RFC 1995), as messages of many records each,
/// from one snapshot.
/// </summary>
internal sealed class ZoneTransfer(ServerParts parts, ILogger logger)
{
    private const int MessageSize = 16 * 1024;

    /// <summary>The messages, each in a buffer that the next one uses again.</summary>
    /// <param name="packet">The query.</param>
    /// <param name="zones">What to give.</param>
    /// <param name="client">Who asks.</param>
    /// <param name="now">Ticks of <see cref="AnswerMark"/>.</param>
    public IEnumerable<ReadOnlyMemory<byte>> Messages(byte[] packet, ZoneSnapshot zones, IPAddress client, long now)
    {
        var query = Message.Read(packet);
        var zone = query is null ? null : zones.Zones.FirstOrDefault(z => z.Apex.Equals(query.Question));
        if (zone is null || !parts.MayTransfer(client) || zones.Version == 0 || zone.Trust != ZoneTrust.Full)
        {
            var code = zone is null ? ResponseCode.NotAuth : zone.Trust != ZoneTrust.Full ? ResponseCode.ServFail : ResponseCode.Refused;
            var refusal = new byte[Answer.UdpSizeMax];
            yield return refusal.AsMemory(0, Answer.Short(packet, refusal, code, truncated: false));
            yield break;
        }
        var buffer = new byte[MessageSize + 2 * NameWire.SizeMax];
        var (position, count, total) = (0, 0, 0);
        foreach (var record in query!.Type == RecordType.Ixfr ? Since(query, zone, zones, now) : Whole(zone, zones, now))
        {
            total++;
            if (Add(record))
                continue;
            yield return Finished();
            if (!Add(record))
                throw new InvalidOperationException($"a record of {record.Name} does not fit a message");
        }
        yield return Finished();
        Log.Transferred(logger, zone.Apex.ToString(), client, total);

        // Each record is compressed against the question alone: names stay right however messages are cut.
        bool Add(Record record)
        {
            if (position == 0)
                position = Query.Write(buffer, query.Header.Id, query.QuestionWire.Span, query.Type);
            var writer = MessageWriter.Continue(buffer.AsSpan(0, MessageSize), position, query.QuestionWire.Length);
            if (!writer.Record(record))
                return false;
            position = writer.Position;
            count++;
            return true;
        }

        ReadOnlyMemory<byte> Finished()
        {
            new Header(query.Header.Id, Header.Response | Header.Authoritative, 1, (ushort)count, 0, 0).Write(buffer);
            var message = buffer.AsMemory(0, position);
            (position, count) = (0, 0);
            return message;
        }
    }

    private static IEnumerable<Record> Whole(Zone zone, ZoneSnapshot zones, long now)
    {
        yield return zone.Soa;
        foreach (var entry in zones.Names.All())
        {
            if (zones.ZoneOf(entry.Wire) != zone)
                continue;
            // The copy is asked from now on: what it may say counts as said (architecture.md, the traffic contract).
            entry.Mark?.Answered(now);
            foreach (var record in entry.Records)
                yield return record;
        }
        yield return zone.Soa;
    }

    private static IEnumerable<Record> Since(Message query, Zone zone, ZoneSnapshot zones, long now)
    {
        var have = query.Authorities.FirstOrDefault(r => r.Type == RecordType.Soa && r.Name.Equals(zone.Apex));
        if (have is null)
            return Whole(zone, zones, now);
        var serial = SerialOf(have);
        if (serial == zone.Serial)
            return [zone.Soa];
        var first = Array.FindIndex(zone.Changes, c => SerialOf(c.From) == serial);
        return first < 0 ? Whole(zone, zones, now)
            : [zone.Soa, .. zone.Changes[first..].SelectMany(c => (IEnumerable<Record>)[c.From, .. c.Removed, c.To, .. c.Added]), zone.Soa];
    }

    private static uint SerialOf(Record soa) => BinaryPrimitives.ReadUInt32BigEndian(soa.Rdata.Span[^20..]);
}
