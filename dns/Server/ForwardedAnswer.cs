using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>Writes what another server said as an answer to our client: with our EDNS, in the client's size, not as an authority.</summary>
internal static class ForwardedAnswer
{
    /// <param name="packet">The client's query, which has been read once already.</param>
    /// <param name="local">Aliases in our zones that led out of them; null: the question itself is foreign.</param>
    /// <param name="foreign">What was found there; null: nobody answered.</param>
    /// <param name="response">65535 bytes for a stream, for UDP what <see cref="Answer.UdpSizeMax"/> says.</param>
    /// <param name="stream">Over TCP.</param>
    public static int Write(ReadOnlySpan<byte> packet, Message? local, Message? foreign, Span<byte> response, bool stream)
    {
        Span<byte> name = stackalloc byte[NameWire.SizeMax];
        if (Query.Read(packet, name, out var query) != Reading.Query)
            return 0;
        var size = Answer.SizeFor(in query, response.Length, stream);
        var writer = new MessageWriter(response[..(query.HasEdns ? size - Opt.Size : size)]);
        writer.Question(packet[Header.Size..query.QuestionEnd]);
        var code = foreign?.Code ?? (local is null ? ResponseCode.ServFail : ResponseCode.NoError);
        var answers = Sets(ref writer, [.. local?.Answers ?? [], .. foreign?.Answers ?? []], out var cut);
        var authorities = cut ? 0 : Sets(ref writer, foreign?.Authorities ?? [], out cut);
        var additionals = cut ? 0 : Sets(ref writer, foreign?.Additionals ?? [], out _);
        var end = writer.Position;
        if (query.HasEdns)
        {
            end += Opt.Write(response[end..], Opt.PayloadSize, code, query.DnssecOk);
            additionals++;
        }
        var flags = Header.Response | (query.Header.Flags & (Header.RecursionDesired | Header.CheckingDisabled)) | Header.RecursionAvailable
            | (cut ? Header.Truncated : 0) | ((int)code & 0xF);
        new Header(query.Header.Id, (ushort)flags, 1, (ushort)answers, (ushort)authorities, (ushort)additionals).Write(response);
        return end;
    }

    /// <summary>Whole sets only, until one does not fit.</summary>
    private static int Sets(ref MessageWriter writer, IReadOnlyList<Record> records, out bool cut)
    {
        var count = 0;
        cut = false;
        for (var at = 0; at < records.Count;)
        {
            var end = at + 1;
            while (end < records.Count && records[end].Type == records[at].Type && records[end].Name.Equals(records[at].Name))
                end++;
            var start = writer.Mark();
            for (; at < end; at++)
            {
                if (writer.Record(records[at]))
                    continue;
                writer.Back(start);
                cut = true;
                return count;
            }
            count = end;
        }
        return count;
    }
}
