namespace Declarative.Sim;

/// <summary>Draws whether a fault happens here and now, and counts those that did.</summary>
internal sealed class Chances(World world, Tally tally)
{
    /// <summary>One in so many calls of the kind that can suffer it.</summary>
    private static readonly Dictionary<Fault, int> OneIn = new()
    {
        [Fault.Conflict] = 60,
        [Fault.LostAnswer] = 80,
        [Fault.Unavailable] = 120,
        [Fault.WatchDropped] = 40,
        [Fault.WatchExpired] = 6,
        [Fault.JournalRefused] = 400,
        [Fault.MasterStreamLost] = 300,
        [Fault.MasterCallLost] = 60,
        [Fault.UpdateRepeated] = 50,
    };

    /// <summary>False when the scenario is over and the world must come to rest.</summary>
    public bool Enabled { get; set; } = true;

    public bool Take(Fault fault)
    {
        if (!Enabled || world.Random.Next(OneIn[fault]) != 0) return false;
        Happened(fault);
        return true;
    }

    public void Happened(Fault fault)
    {
        tally.Add("fault " + fault);
        world.Note("fault " + fault);
    }
}
