using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Authorization;
using Microsoft.AspNetCore.Http;

namespace Declarative.ApiServer.Http;

/// <summary>The headers <c>Impersonate-User</c> and <c>Impersonate-Group</c> (kubectl --as), for who has the verb impersonate on users and groups.</summary>
internal static class Impersonation
{
    private const string ServiceAccountPrefix = "system:serviceaccount:";

    public static Caller Apply(HttpContext context, Caller caller, Authorizer authorizer, Func<User, IApi> api)
    {
        var headers = context.Request.Headers;
        var name = headers["Impersonate-User"].ToString();
        var groups = headers["Impersonate-Group"];
        if (name.Length == 0)
        {
            if (groups.Count > 0) throw Status.BadRequest("requested to impersonate groups without impersonating a user");
            return caller;
        }
        if (headers.Keys.FirstOrDefault(x => x.Equals("Impersonate-Uid", StringComparison.OrdinalIgnoreCase) || x.StartsWith("Impersonate-Extra-", StringComparison.OrdinalIgnoreCase)) is { } other)
        {
            throw Status.BadRequest($"{other}: only Impersonate-User and Impersonate-Group are served here");
        }
        var words = name.StartsWith(ServiceAccountPrefix, StringComparison.Ordinal) ? name[ServiceAccountPrefix.Length..].Split(':') : [];
        if (words.Length == 2) Require("serviceaccounts", words[0], words[1]);
        else Require("users", "", name);
        foreach (var group in groups) Require("groups", "", group ?? "");
        string[] implied = words.Length == 2 ? ["system:serviceaccounts", "system:serviceaccounts:" + words[0]] : [];
        var user = new User(name, [.. groups.Where(x => !string.IsNullOrEmpty(x)).Select(x => x!).Concat(implied).Append(User.Authenticated).Distinct()]);
        return new(user, api(user));

        void Require(string resource, string ns, string wanted)
        {
            if (authorizer.Allows(caller.User, "impersonate", "", resource, "", ns, wanted)) return;
            throw new ApiException(new(403, StatusReason.Forbidden,
                $"{resource} \"{wanted}\" is forbidden: User \"{caller.User.Name}\" cannot impersonate resource \"{resource}\" in API group \"\" {(ns.Length == 0 ? "at the cluster scope" : $"in the namespace \"{ns}\"")}")
            {
                Kind = resource,
                Name = wanted,
            }) { IsOfRights = true };
        }
    }
}
