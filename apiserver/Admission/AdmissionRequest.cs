using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.ApiServer.Registry;

namespace Declarative.ApiServer.Admission;

/// <summary>One write on its way to the store, as webhooks and policies see it (admission.k8s.io/v1 AdmissionRequest).</summary>
/// <param name="Operation">CREATE, UPDATE, DELETE or CONNECT.</param>
/// <param name="Object">As it will be stored; null for DELETE.</param>
/// <param name="Old">As it is stored; null for CREATE.</param>
internal sealed record AdmissionRequest(User User, string Operation, ResourceKey Key, string Subresource, JsonObject? Object, JsonObject? Old)
{
    public bool DryRun { get; init; }
    public string FieldManager { get; init; } = "";

    /// <summary>Receives what the user should know.</summary>
    public ICollection<string>? Warnings { get; init; }

    /// <summary>Receives what the request's audit event shall say, by its key; null = nobody keeps it.</summary>
    public IDictionary<string, string>? AuditAnnotations { get; init; }

    public static AdmissionRequest Of(User user, string operation, ResourceKey key, JsonObject? wanted, JsonObject? old, WriteOptions write) =>
        new(user, operation, key, write.Subresource, wanted, old) { DryRun = write.DryRun, FieldManager = write.FieldManager, Warnings = write.Warnings, AuditAnnotations = write.AuditAnnotations };

    /// <summary>The member "request" of a review, less the object and the old object.</summary>
    /// <param name="shown">The version of the kind that the reader asks for; the same as the request's own in most cases.</param>
    public JsonObject Describe(string uid, Api.Kinds.Kind shown)
    {
        var json = new JsonObject
        {
            ["uid"] = uid,
            ["kind"] = BodyKind(shown),
            ["resource"] = Resource(shown),
            ["requestKind"] = BodyKind(Key.Kind),
            ["requestResource"] = Resource(Key.Kind),
            ["name"] = Key.Name,
            ["operation"] = Operation,
            ["userInfo"] = Authentication.UserJson.Of(User),
            ["dryRun"] = DryRun,
            ["options"] = Options(),
        };
        if (Key.Namespace.Length > 0) json["namespace"] = Key.Namespace;
        if (Subresource.Length == 0) return json;
        json["subResource"] = Subresource;
        json["requestSubResource"] = Subresource;
        return json;
    }

    /// <summary>The kind that carries the parameters of a connection (core/v1).</summary>
    public static string ConnectOptions(Api.Kinds.Kind kind, string subresource) => (kind.Plural, subresource) switch
    {
        (_, "exec") => "PodExecOptions",
        (_, "attach") => "PodAttachOptions",
        (_, "portforward") => "PodPortForwardOptions",
        ("nodes", _) => "NodeProxyOptions",
        ("services", _) => "ServiceProxyOptions",
        _ => "PodProxyOptions",
    };

    // Some subresources carry an object of another kind.
    private JsonObject BodyKind(Api.Kinds.Kind kind)
    {
        var (group, version, name) = Subresource switch
        {
            "scale" => ("autoscaling", "v1", "Scale"),
            "binding" => ("", "v1", "Binding"),
            "eviction" => ("policy", "v1", "Eviction"),
            "exec" or "attach" or "portforward" or "proxy" => ("", "v1", ConnectOptions(kind, Subresource)),
            _ => (kind.Group, kind.Version, kind.Name),
        };
        return new() { ["group"] = group, ["version"] = version, ["kind"] = name };
    }

    private static JsonObject Resource(Api.Kinds.Kind kind) => new() { ["group"] = kind.Group, ["version"] = kind.Version, ["resource"] = kind.Plural };

    private JsonObject Options()
    {
        var options = new JsonObject
        {
            ["apiVersion"] = Operation == "CONNECT" ? "v1" : "meta.k8s.io/v1",
            ["kind"] = Operation switch { "CREATE" => "CreateOptions", "UPDATE" => "UpdateOptions", "CONNECT" => ConnectOptions(Key.Kind, Subresource), _ => "DeleteOptions" },
        };
        if (DryRun) options["dryRun"] = new JsonArray("All");
        if (FieldManager.Length > 0) options["fieldManager"] = FieldManager;
        return options;
    }
}
