using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;

namespace Declarative.ApiServer.Authorization;

/// <summary>A RoleBinding or ClusterRoleBinding: which role, for whom.</summary>
/// <param name="Subjects">In the form of <see cref="SubjectOfUser"/> and <see cref="SubjectOfGroup"/>.</param>
internal sealed record Binding(ResourceKey Role, IReadOnlyList<string> Subjects)
{
    public static string SubjectOfUser(string name) => "user:" + name;

    public static string SubjectOfGroup(string name) => "group:" + name;

    /// <param name="ns">The binding's own namespace, "" for a ClusterRoleBinding.</param>
    public static Binding Read(string ns, ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        var root = document.RootElement;
        var role = root.TryGetProperty("roleRef", out var found) ? found : default;
        var roleName = Text(role, "name");
        var key = Text(role, "kind") == "Role" ? ResourceKey.Of(Kind.Role, ns, roleName) : ResourceKey.Of(Kind.ClusterRole, "", roleName);
        var subjects = new List<string>();
        if (root.TryGetProperty("subjects", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var subject in list.EnumerateArray())
            {
                var name = Text(subject, "name");
                switch (Text(subject, "kind"))
                {
                    case "User":
                        subjects.Add(SubjectOfUser(name));
                        break;
                    case "Group":
                        subjects.Add(SubjectOfGroup(name));
                        break;
                    case "ServiceAccount":
                        subjects.Add(SubjectOfUser($"system:serviceaccount:{(Text(subject, "namespace") is { Length: > 0 } its ? its : ns)}:{name}"));
                        break;
                }
            }
        }
        return new(key, subjects);
    }

    private static string Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
