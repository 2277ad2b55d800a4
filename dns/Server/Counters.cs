using Declarative.Dns.Wire;

namespace Declarative.Dns.Server;

/// <summary>What one loop has done. Written by its loop alone, with plain stores; readers may see a moment ago.</summary>
internal sealed class Counters
{
    private readonly long[] _codes = new long[16];

    public long Queries;
    public long Truncated;
    /// <summary>Packets that deserve no answer: too short, responses, too long.</summary>
    public long Dropped;
    /// <summary>Answers that the kernel would not take.</summary>
    public long Unsent;
    public long Failures;
    /// <summary>Answers withheld or cut because of the limit per network.</summary>
    public long Limited;

    public void Count(ReadOnlySpan<byte> response)
    {
        Queries++;
        _codes[response[3] & 0xF]++;
        if ((response[2] & 2) != 0)
            Truncated++;
    }

    public long Of(ResponseCode code) => _codes[(int)code & 0xF];

    public void Add(Counters other)
    {
        Queries += other.Queries;
        Truncated += other.Truncated;
        Dropped += other.Dropped;
        Unsent += other.Unsent;
        Failures += other.Failures;
        Limited += other.Limited;
        for (var i = 0; i < _codes.Length; i++)
            _codes[i] += other._codes[i];
    }
}
