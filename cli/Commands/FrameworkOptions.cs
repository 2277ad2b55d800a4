using System.CommandLine;
using Declarative.Controllers.Placement;

namespace Declarative.Cli.Commands;

/// <summary>The options by which Placement is told as what framework it registers with Mesos.</summary>
internal sealed class FrameworkOptions
{
    private static readonly PlacementOptions Otherwise = new();

    private readonly Option<string> _name = new("--framework-name") { Description = "Name to register under; part of its tasks' Mesos-DNS names (dns --framework-name)", HelpName = "NAME", DefaultValueFactory = _ => Otherwise.FrameworkName };
    private readonly Option<string> _role = new("--framework-role") { Description = "Mesos role whose offers are used, such as prod or eng/web", HelpName = "ROLE", DefaultValueFactory = _ => Otherwise.Role };
    private readonly Option<string[]> _roleOf = new("--role-of") { Description = "Mesos role of a namespace's pods; goes before the namespace's annotation declarative.mesos/role; may be repeated", HelpName = "NAMESPACE=ROLE", DefaultValueFactory = _ => [] };
    private readonly Option<string> _user = new("--framework-user") { Description = "User that tasks run as where they name none", HelpName = "USER", DefaultValueFactory = _ => Otherwise.User };
    private readonly Option<double> _failover = new("--failover-timeout") { Description = "Seconds that the master keeps the tasks when no controllers are there", HelpName = "SECONDS", DefaultValueFactory = _ => Otherwise.FailoverTimeout.TotalSeconds };

    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_name, _role, _roleOf, _user, _failover]) command.Options.Add(option);
    }

    /// <exception cref="UsageException">An option's value cannot be; the message names the option and what was expected.</exception>
    public PlacementOptions Read(ParseResult parsed)
    {
        var (name, role, user, failover) = (parsed.GetValue(_name)!, parsed.GetValue(_role)!, parsed.GetValue(_user)!, parsed.GetValue(_failover));
        // Its name is the name of a ConfigMap too.
        if (name.Length is 0 or > 200 || !name.All(x => char.IsAsciiLetterLower(x) || char.IsAsciiDigit(x) || x is '-' or '.') || !char.IsAsciiLetterOrDigit(name[0]) || !char.IsAsciiLetterOrDigit(name[^1]))
            throw new UsageException($"--framework-name {name}: expected lower case letters, digits, '-' and '.', such as marathon");
        if (!MesosRoles.IsRole(role)) throw new UsageException($"--framework-role {role}: expected *, or names joined by '/', none of which is empty, '.', '..', '*', begins with '-' or has a blank");
        if (user.Length == 0) throw new UsageException("--framework-user: expected a user's name");
        if (failover is not (>= 0 and <= 315_360_000)) throw new UsageException($"--failover-timeout {failover}: expected seconds, 0..315360000");
        return new() { FrameworkName = name, Role = role, RoleOf = RolesOf(parsed.GetValue(_roleOf) ?? []), User = user, FailoverTimeout = TimeSpan.FromSeconds(failover) };
    }

    private static Dictionary<string, string> RolesOf(IEnumerable<string> pairs)
    {
        var roles = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pair in pairs)
        {
            if (pair.Split('=', 2) is not [{ Length: > 0 } ns, var role] || !MesosRoles.IsRole(role)) throw new UsageException($"--role-of {pair}: expected NAMESPACE=ROLE, such as shop=eng/web");
            roles[ns] = role;
        }
        return roles;
    }
}
