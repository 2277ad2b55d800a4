using System.Buffers.Binary;
using Declarative.Dns.Wire;
using Declarative.Dns.Zones;

namespace Declarative.Dns;

/// <summary>Circumstances of one answer.</summary>
/// <param name="stream">Over TCP: no size limit but the message's own.</param>
/// <param name="rotation">Which record comes first; give another number each time.</param>
/// <param name="now">Ticks of <see cref="AnswerMark"/>.</param>
internal readonly ref struct AnswerTurn(bool stream, uint rotation, long now)
{
    public bool Stream => stream;
    public uint Rotation => rotation;
    public long Now => now;

    /// <summary>Names of other zones can be asked for elsewhere.</summary>
    public bool Forwarding { get; init; }

    /// <summary>Null: cookies are ignored.</summary>
    public CookieJar? Cookies { get; init; }

    /// <summary>The sender's address, 4 or 16 bytes, for its cookie.</summary>
    public ReadOnlySpan<byte> Client { get; init; }
}

/// <summary>What is left to do for a query.</summary>
internal enum AnswerFate
{
    /// <summary>The answer is written, or there is to be none.</summary>
    Done,
    /// <summary>Nothing is written: the name is of another zone.</summary>
    Elsewhere,
    /// <summary>An alias that leads out of our zones is written; the rest is elsewhere.</summary>
    Alias,
    /// <summary>Nothing is written: a zone transfer over a stream.</summary>
    Transfer,
}

/// <summary>
/// From a query's bytes to the answer's: pure but for the mark of when a name was last answered, without allocation, and never throwing
/// whatever the bytes are.
/// </summary>
internal static class Answer
{
    /// <summary>Room the caller must offer for UDP; for TCP 65535.</summary>
    public const int UdpSizeMax = Opt.PayloadSize;
    private const int PlainUdpSize = 512;
    private const int AliasesMax = 8;
    private const int CookieOptionSize = Opt.OptionHead + CookieJar.Size;

    /// <summary>Writes the answer and returns its length; 0: no answer at all.</summary>
    public static int Write(ZoneSnapshot zones, ReadOnlySpan<byte> packet, Span<byte> response, AnswerTurn turn) =>
        Write(zones, packet, response, turn, out _);

    /// <summary>As the other one; <paramref name="fate"/> tells what is still to be done.</summary>
    public static int Write(ZoneSnapshot zones, ReadOnlySpan<byte> packet, Span<byte> response, AnswerTurn turn, out AnswerFate fate)
    {
        fate = AnswerFate.Done;
        Span<byte> nameBuffer = stackalloc byte[NameWire.SizeMax];
        switch (Query.Read(packet, nameBuffer, out var query))
        {
            case Reading.Silence:
                return 0;
            case Reading.OtherOpcode:
                return Bare(query.Header, response, ResponseCode.NotImp);
            case Reading.Malformed:
                return Bare(query.Header, response, ResponseCode.FormErr);
        }
        var size = SizeFor(in query, response.Length, turn.Stream);
        var opt = !query.HasEdns ? 0 : Opt.Size + (query.Cookie.IsEmpty || turn.Cookies is null ? 0 : CookieOptionSize);
        scoped Draft draft = new(response, size - opt, query.QuestionEnd);
        packet[Header.Size..query.QuestionEnd].CopyTo(response[Header.Size..]);
        if (query.EdnsVersion > 0)
            draft.Code = ResponseCode.BadVers;
        else if (query.Class is not (Query.ClassIn or Query.ClassAny))
            draft.Code = ResponseCode.Refused;
        else if (query.Type is RecordType.Axfr or RecordType.Ixfr)
            Transfer(ref draft, zones, in query, turn);
        else if (query.Type is default(RecordType) or RecordType.Opt)
            draft.Code = ResponseCode.FormErr;
        else if ((ushort)query.Type is >= 128 and < 255)
            draft.Code = ResponseCode.NotImp;
        else
            Fill(ref draft, zones, in query, turn);
        fate = draft.Fate;
        return fate is AnswerFate.Elsewhere or AnswerFate.Transfer ? 0 : Finish(ref draft, in query, turn);
    }

    /// <summary>How long the answer to a query may be.</summary>
    public static int SizeFor(in Query query, int room, bool stream) =>
        stream ? Math.Min(room, ushort.MaxValue) : Math.Min(room, query.HasEdns ? Math.Min(query.PayloadSize, UdpSizeMax) : PlainUdpSize);

    /// <summary>An answer that says no more than "ask over TCP" or a code; 0 for what is no query.</summary>
    public static int Short(ReadOnlySpan<byte> packet, Span<byte> response, ResponseCode code, bool truncated)
    {
        Span<byte> nameBuffer = stackalloc byte[NameWire.SizeMax];
        if (Query.Read(packet, nameBuffer, out var query) != Reading.Query)
            return 0;
        packet[Header.Size..query.QuestionEnd].CopyTo(response[Header.Size..]);
        scoped Draft draft = new(response, response.Length, query.QuestionEnd) { Code = code, Truncated = truncated };
        return Finish(ref draft, in query, default);
    }

    /// <summary>SERVFAIL for a packet that met a bug, if it has an id to repeat.</summary>
    public static int Failure(ReadOnlySpan<byte> packet, Span<byte> response) =>
        packet.Length < Header.Size ? 0 : Bare(Header.Read(packet), response, ResponseCode.ServFail);

    private static void Fill(ref Draft draft, ZoneSnapshot zones, in Query query, AnswerTurn turn)
    {
        if (zones.Version == 0)
        {
            // Nothing is known yet, and "no such name" would be cached.
            draft.Code = ResponseCode.ServFail;
            return;
        }
        if (zones.HasExpired && zones.ZoneOf(query.Name) is { Trust: ZoneTrust.Expired })
        {
            draft.Code = ResponseCode.ServFail;
            return;
        }
        if (zones.Names.Find(query.Name) is not { } entry)
        {
            if (zones.ZoneOf(query.Name) is not { Authority.IsShared: false } zone)
                Foreign(ref draft, in query, turn);
            else if (zone.Trust == ZoneTrust.Incomplete)
                draft.Code = ResponseCode.ServFail;
            else
                Negative(ref draft, zone, in query, ResponseCode.NxDomain);
            return;
        }
        draft.Authoritative = true;
        // RFC 8482, 4.1: to ANY one of the sets is answer enough.
        var set = query.Type == RecordType.Any ? entry.First : entry.Find(query.Type);
        if (set is not null)
            Positive(ref draft, entry, set, turn);
        else if (entry.Find(RecordType.Cname) is not null)
            Alias(ref draft, zones, entry, in query, turn);
        else if (zones.ZoneOf(query.Name) is not { } zone)
            draft.Code = ResponseCode.ServFail;
        else if (query.Type == RecordType.Soa && zone.Apex.Wire.SequenceEqual(query.Name))
            Authority(ref draft, zone, in query);
        else
            Negative(ref draft, zone, in query, ResponseCode.NoError);
    }

    /// <summary>A name of another zone: asked for elsewhere where that is wanted and possible, else refused.</summary>
    private static void Foreign(ref Draft draft, in Query query, AnswerTurn turn)
    {
        if (turn.Forwarding && query.Class == Query.ClassIn && (query.Header.Flags & Header.RecursionDesired) != 0)
            draft.Fate = AnswerFate.Elsewhere;
        else
            draft.Code = ResponseCode.Refused;
    }

    /// <summary>Over UDP an IXFR is answered with the SOA alone: who needs more comes again over TCP (RFC 1995, 2).</summary>
    private static void Transfer(ref Draft draft, ZoneSnapshot zones, in Query query, AnswerTurn turn)
    {
        if (turn.Stream)
            draft.Fate = AnswerFate.Transfer;
        else if (query.Type == RecordType.Ixfr && zones.ZoneOf(query.Name) is { } zone && zone.Apex.Wire.SequenceEqual(query.Name))
            Authority(ref draft, zone, in query);
        else
            draft.Code = ResponseCode.Refused;
    }

    private static void Positive(ref Draft draft, NameEntry entry, RecordSet set, AnswerTurn turn)
    {
        entry.Mark?.Answered(turn.Now);
        var start = draft.Position;
        if (!set.TryWrite(draft.Message, ref draft.Position, draft.Limit, turn.Rotation, out var first))
        {
            draft.Truncated = true;
            if (turn.Stream)
                draft.Answers = set.WriteWindow(draft.Message, ref draft.Position, draft.Limit, turn.Rotation);
            return;
        }
        draft.Answers = set.Count;
        if (set.HasTargets)
            draft.Additionals = set.WriteTargets(draft.Message, start, first, ref draft.Position, draft.Limit);
    }

    private static void Authority(ref Draft draft, Zone zone, in Query query)
    {
        if (zone.TryWriteNegative(draft.Message, ref draft.Position, draft.Limit, query.Name.Length))
            draft.Answers = 1;
        else
            draft.Truncated = true;
    }

    private static void Negative(ref Draft draft, Zone zone, in Query query, ResponseCode code)
    {
        draft.Authoritative = true;
        draft.Code = code;
        if (zone.TryWriteNegative(draft.Message, ref draft.Position, draft.Limit, query.Name.Length))
            draft.Authorities = 1;
        else
            draft.Truncated = true;
    }

    /// <summary>Follows an alias as far as it stays in our zones; the last name decides the code (RFC 6604).</summary>
    private static void Alias(ref Draft draft, ZoneSnapshot zones, NameEntry entry, in Query query, AnswerTurn turn)
    {
        var writer = new MessageWriter(draft.Message[..draft.Limit]);
        var question = draft.Message[Header.Size..draft.Position];
        writer.Question(question);
        for (var links = 0; links < AliasesMax && entry.Find(RecordType.Cname) is { } alias; links++)
        {
            entry.Mark?.Answered(turn.Now);
            if (!AddAlias(ref draft, ref writer, entry, alias))
                return;
            var target = alias.AliasTarget;
            if (zones.Names.Find(target) is not { } next)
            {
                if (zones.ZoneOf(target) is { Authority.IsShared: false } missing)
                    AddNegative(ref draft, ref writer, missing, ResponseCode.NxDomain);
                else if (turn.Forwarding && (query.Header.Flags & Header.RecursionDesired) != 0)
                    draft.Fate = AnswerFate.Alias;
                return;
            }
            entry = next;
            if (entry.Find(query.Type) is { } set)
            {
                entry.Mark?.Answered(turn.Now);
                AddSet(ref draft, ref writer, entry, set, turn.Rotation);
                return;
            }
        }
        if (entry.Find(RecordType.Cname) is null && zones.ZoneOf(entry.Wire) is { } zone)
            AddNegative(ref draft, ref writer, zone, ResponseCode.NoError);
    }

    private static bool AddAlias(ref Draft draft, ref MessageWriter writer, NameEntry entry, RecordSet alias)
    {
        if (!writer.Alias(entry.Wire, alias.Ttl, alias.AliasTarget))
        {
            draft.Truncated = true;
            return false;
        }
        draft.Answers++;
        draft.Position = writer.Position;
        return true;
    }

    private static void AddSet(ref Draft draft, ref MessageWriter writer, NameEntry entry, RecordSet set, uint rotation)
    {
        Span<byte> room = stackalloc byte[RecordSet.AddressSize];
        for (var i = 0u; i < set.Count; i++)
        {
            var index = (int)((rotation + i) % (uint)set.Count);
            if (set.IsPlain ? !writer.Record(entry.Wire, set.Body(index, room)) : !writer.Record(set.Record(entry.Name, index)))
            {
                // Position and count still stand at the last set that fitted whole.
                draft.Truncated = true;
                return;
            }
        }
        draft.Answers += set.Count;
        draft.Position = writer.Position;
    }

    private static void AddNegative(ref Draft draft, ref MessageWriter writer, Zone zone, ResponseCode code)
    {
        draft.Code = code;
        if (writer.Record(zone.Soa))
            (draft.Authorities, draft.Position) = (1, writer.Position);
        else
            draft.Truncated = true;
    }

    private static int Finish(ref Draft draft, in Query query, AnswerTurn turn)
    {
        var flags = Header.Response
            | (query.Header.Flags & (Header.OpcodeMask | Header.RecursionDesired | Header.CheckingDisabled))
            | (draft.Authoritative ? Header.Authoritative : 0)
            | (draft.Truncated ? Header.Truncated : 0)
            | (turn.Forwarding ? Header.RecursionAvailable : 0)
            | ((int)draft.Code & 0xF);
        if (query.HasEdns)
        {
            var opt = draft.Message[draft.Position..];
            draft.Position += Opt.Write(opt, Opt.PayloadSize, draft.Code, query.DnssecOk);
            if (!query.Cookie.IsEmpty && turn.Cookies is { } jar)
            {
                jar.Write(Opt.AddOption(opt, CookieJar.Option, CookieJar.Size), query.Cookie, turn.Client, jar.Seconds(turn.Now));
                draft.Position += CookieOptionSize;
            }
            draft.Additionals++;
        }
        new Header(query.Header.Id, (ushort)flags, 1, (ushort)draft.Answers, (ushort)draft.Authorities, (ushort)draft.Additionals)
            .Write(draft.Message);
        return draft.Position;
    }

    /// <summary>A header alone: for what could not be read as far as its question.</summary>
    private static int Bare(Header query, Span<byte> response, ResponseCode code)
    {
        var flags = Header.Response | (query.Flags & (Header.OpcodeMask | Header.RecursionDesired)) | (int)code;
        new Header(query.Id, (ushort)flags, 0, 0, 0, 0).Write(response);
        return Header.Size;
    }

    /// <summary>The answer as far as it is written.</summary>
    private ref struct Draft(Span<byte> message, int limit, int position)
    {
        public readonly Span<byte> Message = message;
        /// <summary>Where the records must end, OPT not counted.</summary>
        public readonly int Limit = limit;
        public int Position = position;
        public int Answers;
        public int Authorities;
        public int Additionals;
        public ResponseCode Code;
        public bool Authoritative;
        public bool Truncated;
        public AnswerFate Fate;
    }
}
