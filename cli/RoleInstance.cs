using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Declarative.Cli;

/// <summary>
/// One process of a role on one data directory: <c>DIR/roles/ROLE-N</c>, held for as long as it runs. By it <c>down</c> finds the process, and
/// two of one role get different identities, each of which a restart gets again.
/// </summary>
internal sealed class RoleInstance : IDisposable
{
    private const int InstancesMax = 64;
    private readonly DataDirectory? _held;

    private RoleInstance(string identity, DataDirectory? held) => (Identity, _held) = (identity, held);

    /// <summary>Unlike that of any other process: host, data directory and number.</summary>
    public string Identity { get; }

    /// <summary>Without a data directory (the role was given its kubeconfig) no process can be found by it: the identity is the process's.</summary>
    public static RoleInstance Hold(DataDirectory data, string role)
    {
        var path = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(data.Path)).AsSpan(0, 4));
        if (!Directory.Exists(data.Path)) return new(string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}_{path}_process-{Environment.ProcessId}"), null);
        for (var number = 0; number < InstancesMax; number++)
        {
            var place = Place(data, role, number);
            if (DataDirectory.At(place).Holder() is not null) continue;
            try
            {
                return new(string.Create(CultureInfo.InvariantCulture, $"{Environment.MachineName}_{path}_{number}"), DataDirectory.Hold(place));
            }
            catch (UsageException) when (number < InstancesMax - 1)
            {
                continue; // another process was quicker
            }
        }
        throw new UsageException($"--data {data.Path}: {InstancesMax} processes of role {role} are running there already");
    }

    /// <summary>The processes of separate roles that run on the directory, those that face the users first.</summary>
    public static IReadOnlyList<DataDirectory> Running(DataDirectory data)
    {
        if (!Directory.Exists(data.Under("roles"))) return [];
        var all = from role in (string[])["lb", "dns", "controllers"]
                  from number in Enumerable.Range(0, InstancesMax)
                  let place = DataDirectory.At(Place(data, role, number))
                  where place.Holder() is { } holder && holder != data.Holder()
                  select place;
        return [.. all];
    }

    public void Dispose() => _held?.Release();

    private static string Place(DataDirectory data, string role, int number) => Path.Combine(data.Under("roles"), string.Create(CultureInfo.InvariantCulture, $"{role}-{number}"));
}
