using Declarative.Api.Kinds;

namespace Declarative.Controllers.Placement.Volumes;

internal enum WishKind
{
    Create,
    Grow,
    Destroy,

    /// <summary>Its agent has registered under another id: where that offers the volume, the id is noted.</summary>
    Move,
}

/// <summary>A volume of which Mesos is to make something else than it is. Mutable; touched by the desk's loop alone.</summary>
internal sealed class VolumeWish(PersistentVolume volume, WishKind kind, DateTimeOffset since)
{
    public PersistentVolume Volume { get; set; } = volume;
    public WishKind Kind { get; } = kind;
    public DateTimeOffset Since { get; } = since;

    /// <summary>Of the operation that is on its way or was sent last; "" before the first.</summary>
    public string Operation { get; set; } = "";

    /// <summary>Until when the operation's status is waited for; null = none is on its way.</summary>
    public DateTimeOffset? AnswerDue { get; set; }

    /// <summary>The master was asked what became of it.</summary>
    public bool IsAsked { get; set; }

    /// <summary>When an offer that showed something of the volume was last answered, or a pod had it.</summary>
    public DateTimeOffset? TouchedAt { get; set; }

    /// <summary>What came of it is being stored.</summary>
    public bool IsStoring { get; set; }

    /// <summary>Not before, after a failure or where there was no room.</summary>
    public DateTimeOffset? NotBefore { get; set; }
    public int Failures { get; set; }

    /// <summary>What was told last of why it waits.</summary>
    public string Told { get; set; } = "";

    public bool IsBusy => AnswerDue is not null || IsStoring;
}

/// <summary>The id of an operation: <c>VOLUME/UID/KIND/SIZE/NUMBER</c>, so that a status is understood by whoever leads then. Sizes in thousandths of MiB.</summary>
/// <param name="Uid">Of the PersistentVolume: another one of its name may stand for another agent.</param>
internal readonly record struct OperationName(string Volume, string Uid, WishKind Kind, long Size)
{
    public string With(string number) => $"{Volume}/{Uid}/{Kind}/{Size.ToString(System.Globalization.CultureInfo.InvariantCulture)}/{number}";

    public static OperationName? Parse(string id)
    {
        var parts = id.Split('/');
        return parts.Length == 5 && Enum.TryParse<WishKind>(parts[2], out var kind) && Enum.IsDefined(kind)
            && long.TryParse(parts[3], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var size) ? new(parts[0], parts[1], kind, size) : null;
    }
}
