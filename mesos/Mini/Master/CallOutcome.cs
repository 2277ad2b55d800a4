namespace Declarative.Mesos.Mini.Master;

/// <summary>How a scheduler call was answered: 202 taken, 200 done, 4xx refused with the reason.</summary>
internal readonly record struct CallOutcome(int Status, string Text)
{
    public static readonly CallOutcome Accepted = new(202, "");
    public static readonly CallOutcome Done = new(200, "");

    public bool IsTaken => Status < 300;

    public static CallOutcome Refused(string text) => new(400, text);
}
