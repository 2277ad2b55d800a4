using Declarative.Api.Kinds;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.OpenApi;

/// <summary>A query parameter of an operation.</summary>
/// <param name="Type">string, integer or boolean.</param>
internal sealed record QueryParameter(string Name, string Type, string Description);

/// <summary>One operation of a path.</summary>
/// <param name="Verb">The HTTP method in lower case.</param>
/// <param name="Action">x-kubernetes-action: get, list, post, put, patch, delete, deletecollection.</param>
/// <param name="ObjectType">The type of the object it is about.</param>
/// <param name="BodyType">The type of the request's body, or null.</param>
/// <param name="ResultType">The type of the answer.</param>
internal sealed record Operation(string Verb, string Action, string Id, string Description, string ObjectType, string? BodyType, string ResultType, IReadOnlyList<QueryParameter> Query);

/// <summary>A path and its operations. <c>{namespace}</c> and <c>{name}</c> stand in the path as they do in OpenAPI.</summary>
internal sealed record PathOperations(string Path, IReadOnlyList<Operation> Operations)
{
    private static readonly QueryParameter DryRun = new("dryRun", "string", "All: do everything but store.");
    private static readonly QueryParameter FieldManager = new("fieldManager", "string", "The name of the writer, for the ownership of fields.");
    private static readonly QueryParameter FieldValidation = new("fieldValidation", "string", "What happens to unknown and duplicate fields: Ignore, Warn or Strict.");
    private static readonly QueryParameter Force = new("force", "boolean", "Server-side apply takes over fields of other writers.");
    private static readonly QueryParameter ResourceVersion = new("resourceVersion", "string", "The revision of the store that the answer shows, or that a watch begins after.");

    private static readonly QueryParameter[] Write = [DryRun, FieldManager, FieldValidation];

    private static readonly QueryParameter[] Deletion =
    [
        DryRun,
        new("gracePeriodSeconds", "integer", "Seconds the object may take to end; 0 deletes at once."),
        new("propagationPolicy", "string", "What happens to owned objects: Background, Foreground or Orphan."),
    ];

    private static readonly QueryParameter[] Selection =
    [
        new("labelSelector", "string", "Only objects with these labels."),
        new("fieldSelector", "string", "Only objects with these fields."),
        new("limit", "integer", "Objects on a page."),
        new("continue", "string", "The token of the page before."),
        ResourceVersion,
        new("resourceVersionMatch", "string", "How resourceVersion is meant: Exact or NotOlderThan."),
        new("watch", "boolean", "Changes instead of a list."),
        new("allowWatchBookmarks", "boolean", "A watch may send bookmarks."),
        new("sendInitialEvents", "boolean", "A watch begins with the objects that exist."),
        new("timeoutSeconds", "integer", "The length of a watch."),
    ];

    /// <summary>All paths of a kind: collection, object, and the subresources status and scale.</summary>
    public static IEnumerable<PathOperations> Of(Kind kind)
    {
        var type = TypeNames.Of(kind.Group, kind.Version, kind.Name);
        var root = kind.Group.Length == 0 ? $"/api/{kind.Version}" : $"/apis/{kind.Group}/{kind.Version}";
        var scope = kind.Namespaced ? $"{root}/namespaces/{{namespace}}" : root;
        var collection = $"{scope}/{kind.Plural}";
        if (kind.Support == KindSupport.Review)
        {
            yield return new PathOperations(collection, [Make("post", "post", "create", "Create", type, type, type, Write)]);
            yield break;
        }

        if (kind.Namespaced)
        {
            yield return new PathOperations($"{root}/{kind.Plural}", [List("ForAllNamespaces")]);
        }

        yield return new PathOperations(collection,
        [
            List(""),
            Make("post", "post", "create", "Create", type, type, type, Write),
            Make("delete", "deletecollection", "deleteCollection", "Delete several of", type, "meta.v1.DeleteOptions", "meta.v1.Status", [.. Selection.Take(2), .. Deletion]),
        ]);
        yield return new PathOperations($"{collection}/{{name}}",
        [
            .. Object("", type),
            Make("delete", "delete", "delete", "Delete", type, "meta.v1.DeleteOptions", "meta.v1.Status", Deletion),
        ]);
        if (kind.Subresources.Contains("status"))
        {
            yield return new PathOperations($"{collection}/{{name}}/status", [.. Object("Status", type)]);
        }

        if (kind.Subresources.Contains("scale"))
        {
            yield return new PathOperations($"{collection}/{{name}}/scale", [.. Object("Scale", "autoscaling.v1.Scale")]);
        }

        Operation List(string suffix) => Make("get", "list", "list", "List or watch", type, null, type + "List", Selection, suffix);

        IEnumerable<Operation> Object(string subresource, string body)
        {
            var of = subresource.Length == 0 ? "" : $"the {subresource.ToLowerInvariant()} of ";
            yield return Make("get", "get", "read", $"Read {of}", body, null, body, [ResourceVersion], subresource);
            yield return Make("put", "put", "replace", $"Replace {of}", body, body, body, Write, subresource);
            yield return Make("patch", "patch", "patch", $"Change {of}", body, "meta.v1.Patch", body, [.. Write, Force], subresource);
        }

        Operation Make(string verb, string action, string word, string does, string about, string? body, string result, IReadOnlyList<QueryParameter> query, string suffix = "")
        {
            var id = word + string.Concat(kind.Group.Split('.')[0].Length == 0 ? "Core" : Capital(kind.Group.Split('.')[0]), Capital(kind.Version),
                kind.Namespaced && suffix != "ForAllNamespaces" ? "Namespaced" : "", kind.Name, suffix);
            return new Operation(verb, action, id, $"{does.TrimEnd()} {kind.Name}.", about, body, result, query);
        }
    }

    private static string Capital(string word) => char.ToUpperInvariant(word[0]) + word[1..];
}
