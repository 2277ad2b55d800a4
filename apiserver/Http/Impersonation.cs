using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Authorization;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>
/// The headers <c>Impersonate-User</c>, <c>-Group</c>, <c>-Uid</c> and <c>-Extra-KEY</c> (kubectl --as, --as-group, --as-uid), for who has the verb
/// impersonate on users, groups and serviceaccounts, and in authentication.k8s.io on uids and userextras/KEY (Kubernetes doc "User impersonation").
/// </summary>
internal static class Impersonation
{
    private const string ServiceAccountPrefix = "system:serviceaccount:";
    private const string ExtraPrefix = "Impersonate-Extra-";
    private const string Anonymous = "system:anonymous";
    private const string Unauthenticated = "system:unauthenticated";
    private const string AuthenticationGroup = "authentication.k8s.io";

    public static Caller Apply(HttpContext context, Caller caller, Authorizer authorizer, Func<User, IApi> api)
    {
        var headers = context.Request.Headers;
        var (name, asked, uid) = (headers["Impersonate-User"].ToString(), headers["Impersonate-Group"], headers["Impersonate-Uid"].ToString());
        // The same key can be written in several ways.
        List<(string Key, IReadOnlyList<string> Values)> extra = [.. headers.Where(x => x.Key.StartsWith(ExtraPrefix, StringComparison.OrdinalIgnoreCase))
            .GroupBy(x => Uri.UnescapeDataString(x.Key[ExtraPrefix.Length..].ToLowerInvariant()), x => x.Value)
            .Select(x => (x.Key, (IReadOnlyList<string>)[.. x.SelectMany(values => values.OfType<string>())]))];
        if (name.Length == 0)
        {
            var wanted = asked.Count > 0 ? "groups" : extra.Count > 0 ? "extra" : uid.Length > 0 ? "uid" : "";
            return wanted.Length == 0 ? caller : throw Status.BadRequest($"requested to impersonate {wanted} without impersonating a user");
        }
        List<string> groups = [.. asked.OfType<string>().Where(x => x.Length > 0)];
        var words = name.StartsWith(ServiceAccountPrefix, StringComparison.Ordinal) ? name[ServiceAccountPrefix.Length..].Split(':') : [];
        var isAccount = words is [{ Length: > 0 }, { Length: > 0 }];
        if (isAccount) Require("", "serviceaccounts", "", words[0], words[1]);
        else Require("", "users", "", "", name);
        foreach (var group in groups) Require("", "groups", "", "", group);
        foreach (var (key, values) in extra)
        {
            foreach (var value in values) Require(AuthenticationGroup, "userextras", key, "", value);
        }
        if (uid.Length > 0) Require(AuthenticationGroup, "uids", "", "", uid);

        if (isAccount && groups.Count == 0) groups = ["system:serviceaccounts", "system:serviceaccounts:" + words[0]];
        // Who is somebody is authenticated, unless that is said otherwise.
        if (!groups.Contains(User.Authenticated) && !groups.Contains(Unauthenticated)) groups.Add(name == Anonymous ? Unauthenticated : User.Authenticated);
        var user = new User(name, groups) { Uid = uid, Extra = extra };
        return new(user, api(user));

        void Require(string group, string resource, string subresource, string ns, string wanted)
        {
            if (authorizer.Allows(caller.User, "impersonate", group, resource, subresource, ns, wanted)) return;
            var shown = subresource.Length > 0 ? $"{resource}/{subresource}" : resource;
            var qualified = group.Length > 0 ? $"{resource}.{group}" : resource;
            throw new ApiException(new(403, StatusReason.Forbidden,
                $"{qualified} \"{wanted}\" is forbidden: User \"{caller.User.Name}\" cannot impersonate resource \"{shown}\" in API group \"{group}\" {(ns.Length == 0 ? "at the cluster scope" : $"in the namespace \"{ns}\"")}")
            {
                Group = group,
                Kind = resource,
                Name = wanted,
            }) { IsOfRights = true };
        }
    }
}
