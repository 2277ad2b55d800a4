using Declarative.Controllers.Placement.Offers;

namespace Declarative.Controllers.Placement.Desk;

/// <summary>One Mesos role of the framework: whether offers in it are wanted, and when to say so.</summary>
internal sealed class RoleState(string name)
{
    private static readonly TimeSpan ReviveFirst = TimeSpan.FromMilliseconds(50);

    /// <summary>REVIVE lifts every filter, so it is sent when something has changed; this often only in case a change was missed.</summary>
    private static readonly TimeSpan ReviveMax = TimeSpan.FromSeconds(60);

    private TimeSpan _backoff = ReviveFirst;

    public string Name { get; } = name;

    /// <summary>The subscription has it, or a call that adds it is on its way.</summary>
    public bool IsTold { get; set; }

    /// <summary>A master has taken it in this term.</summary>
    public bool IsConfirmed { get; set; }

    /// <summary>Why the master does not take it, in its own words; "" = it was not refused.</summary>
    public string Refusal { get; set; } = "";

    /// <summary>Pods that wait in it.</summary>
    public int Waiting { get; set; }

    /// <summary>Pods or volumes want offers in it.</summary>
    public bool IsWanted { get; set; }

    /// <summary>Offers that are not made.</summary>
    public OfferFilter Filter { get; set; } = OfferFilter.None;

    /// <summary>When it may be made narrower again.</summary>
    public DateTimeOffset FilterNext { get; set; }

    /// <summary>As the master was told.</summary>
    public bool Suppressed { get; set; }
    public DateTimeOffset? SuppressDue { get; set; }
    public DateTimeOffset? ReviveDue { get; set; }

    /// <summary>Something new wants offers.</summary>
    public void Hurry()
    {
        _backoff = ReviveFirst;
        ReviveDue = null;
    }

    /// <summary>Something has changed that offers were refused for.</summary>
    public void LookAgain(DateTimeOffset due)
    {
        _backoff = ReviveFirst;
        if (ReviveDue is null || ReviveDue > due) ReviveDue = due;
    }

    public void Await(DateTimeOffset now) => ReviveDue ??= now + _backoff;

    public void Revived(DateTimeOffset now)
    {
        Suppressed = false;
        ReviveDue = now + _backoff;
        _backoff = _backoff * 2 > ReviveMax ? ReviveMax : _backoff * 2;
    }
}
