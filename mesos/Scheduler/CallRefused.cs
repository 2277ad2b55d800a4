namespace Declarative.Mesos.Scheduler;

/// <summary>A master refused a call. Terminal: the same call will be refused again.</summary>
/// <param name="status">The HTTP status: 400 malformed or unknown framework, 401/403 not allowed or not subscribed, 406, 415 …</param>
/// <param name="text">The master's own words.</param>
public sealed class CallRefused(int status, string text) : Exception($"The master refused the call ({status}): {text}")
{
    public int Status { get; } = status;
    public string Text { get; } = text;
}
