using System.Globalization;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Registry.Strategies;

namespace Declarative.ApiServer.Registry;

/// <summary>The rules for metadata that hold for every kind (Kubernetes: apimachinery api/validation, registry/rest).</summary>
internal static class Metadata
{
    /// <summary>What generateName appends: no vowels and no look-alikes, so that no words come out.</summary>
    private const string SuffixLetters = "bcdfghjklmnpqrstvwxz2456789";
    private const int SuffixChars = 5;

    /// <summary>Owned by the server: a client's value is replaced by the stored one.</summary>
    private static readonly string[] ServersOwn = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"];

    /// <summary>Those without a domain (Kubernetes doc "Finalizers").</summary>
    private static readonly string[] StandardFinalizers = ["kubernetes", "orphan", "foregroundDeletion"];

    public static JsonObject Of(JsonObject json) => json.Need("metadata");

    public static string Uid(JsonObject json) => Of(json).Text("uid");

    public static string Name(JsonObject json) => Of(json).Text("name");

    /// <summary>The revision a client's object was made from; null where it names none.</summary>
    public static long? Revision(JsonObject json)
    {
        var text = Of(json).Text("resourceVersion");
        if (text.Length == 0 || text == "0") return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var revision)
            ? revision
            : throw Status.BadRequest($"metadata.resourceVersion: expected a number, found \"{text}\"");
    }

    public static bool IsDeleting(JsonObject json) => Of(json)["deletionTimestamp"] is not null;

    /// <summary>The object's full key, with a name made up where it has only generateName.</summary>
    public static ResourceKey NameForCreate(JsonObject json, ResourceKey key, Strategy strategy, Random random)
    {
        var metadata = Of(json);
        var name = metadata.Text("name");
        if (key.Name.Length > 0 && name.Length > 0 && name != key.Name)
        {
            throw Status.BadRequest($"the name of the object ({name}) does not match the name on the URL ({key.Name})");
        }
        if (name.Length == 0) name = key.Name;
        if (name.Length == 0 && metadata.Text("generateName") is { Length: > 0 } prefix)
        {
            var room = strategy.NameCharsMax - SuffixChars;
            name = (prefix.Length > room ? prefix[..room] : prefix) + Suffix(random);
        }
        if (name.Length == 0)
        {
            throw Status.Invalid(key.Kind, "", [new("FieldValueRequired", "Required value: name or generateName is required", "metadata.name")]);
        }
        metadata["name"] = name;
        CheckNamespace(metadata, key);
        return key with { Name = name };
    }

    public static void PrepareForCreate(JsonObject json, ResourceKey key, Strategy strategy, TimeProvider time, Random random)
    {
        var metadata = Of(json);
        foreach (var name in ServersOwn) metadata.Remove(name);
        metadata.Remove("resourceVersion");
        if (key.Kind.Namespaced) metadata["namespace"] = key.Namespace;
        else metadata.Remove("namespace");
        metadata["uid"] = NewUid(random);
        metadata["creationTimestamp"] = Time(time.GetUtcNow());
        if (strategy.HasGeneration) metadata["generation"] = 1;
    }

    /// <summary>Throws 400 for an object that calls itself otherwise than its URL.</summary>
    public static void CheckName(JsonObject json, ResourceKey key)
    {
        var name = Name(json);
        if (name.Length > 0 && name != key.Name) throw Status.BadRequest($"the name of the object ({name}) does not match the name on the URL ({key.Name})");
    }

    public static void PrepareForUpdate(JsonObject wanted, JsonObject old, ResourceKey key)
    {
        var metadata = Of(wanted);
        CheckName(wanted, key);
        CheckNamespace(metadata, key);
        if (metadata.Text("uid") is { Length: > 0 } uid && uid != Uid(old))
        {
            throw Status.Conflict(key.Kind, key.Name, $"Precondition failed: UID in precondition: {uid}, UID in object meta: {Uid(old)}");
        }
        metadata["name"] = key.Name;
        if (key.Kind.Namespaced) metadata["namespace"] = key.Namespace;
        foreach (var owned in ServersOwn) Canonical.CopyMember(Of(old), metadata, owned);
        if (metadata["generateName"] is null) Canonical.CopyMember(Of(old), metadata, "generateName");
        if (metadata["managedFields"] is null) Canonical.CopyMember(Of(old), metadata, "managedFields");
    }

    /// <summary>generation counts the changes of what the user wants: everything but metadata and status.</summary>
    public static void Generation(JsonObject wanted, JsonObject old, Strategy strategy)
    {
        if (!strategy.HasGeneration) return;
        foreach (var name in wanted.Select(x => x.Key).Union(old.Select(x => x.Key)))
        {
            if (name is "metadata" or "status" or "apiVersion" or "kind") continue;
            if (JsonNode.DeepEquals(wanted[name], old[name])) continue;
            Of(wanted)["generation"] = (Of(old).Number("generation") ?? 0) + 1;
            return;
        }
    }

    public static void Validate(JsonObject json, ResourceKey key, Strategy strategy, List<StatusCause> causes)
    {
        var metadata = Of(json);
        if (strategy.NameError(key.Name) is { } nameError) causes.Add(Invalid("metadata.name", key.Name, nameError));
        if (metadata.Object("labels") is { } labels)
        {
            foreach (var (name, value) in labels)
            {
                if (Names.QualifiedNameError(name) is { } keyError) causes.Add(Invalid("metadata.labels", name, keyError));
                var text = value?.GetValue<string>() ?? "";
                if (Names.LabelValueError(text) is { } valueError) causes.Add(Invalid("metadata.labels", text, valueError));
            }
        }
        if (metadata.Object("annotations") is { } annotations)
        {
            var bytes = 0;
            foreach (var (name, value) in annotations)
            {
                if (Names.QualifiedNameError(name.ToLowerInvariant()) is { } keyError) causes.Add(Invalid("metadata.annotations", name, keyError));
                bytes += name.Length + System.Text.Encoding.UTF8.GetByteCount(value?.GetValue<string>() ?? "");
            }
            if (bytes > Limits.AnnotationBytesMax)
            {
                causes.Add(new("FieldValueTooLong", $"Too long: may not be more than {Limits.AnnotationBytesMax} bytes in all, found {bytes}", "metadata.annotations"));
            }
        }
        if (metadata.List("ownerReferences") is { } owners) ValidateOwners(owners, causes);
        if (metadata.List("finalizers") is { } finalizers)
        {
            for (var i = 0; i < finalizers.Count; i++)
            {
                var name = finalizers[i]?.GetValue<string>() ?? "";
                if (Names.QualifiedNameError(name) is { } error) causes.Add(Invalid($"metadata.finalizers[{i}]", name, error));
                else if (key.Kind.IsBuiltIn && !name.Contains('/', StringComparison.Ordinal) && !StandardFinalizers.Contains(name))
                {
                    causes.Add(Invalid($"metadata.finalizers[{i}]", name, "name is neither a standard finalizer name nor is it fully qualified"));
                }
            }
        }
    }

    /// <summary>What goes away is waited for by those who asked for it before.</summary>
    public static void ValidateUpdate(JsonObject json, JsonObject old, List<StatusCause> causes)
    {
        if (!IsDeleting(old) || Of(json).List("finalizers") is not { } finalizers) return;
        var before = Of(old).List("finalizers")?.Select(x => x?.GetValue<string>()).ToHashSet() ?? [];
        var added = finalizers.Select(x => x?.GetValue<string>()).Where(x => !before.Contains(x)).ToList();
        if (added.Count == 0) return;
        causes.Add(new("FieldValueForbidden", $"Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers [{string.Join(' ', added.Select(x => $"\"{x}\""))}]", "metadata.finalizers"));
    }

    public static StatusCause Invalid(string field, string value, string why) => new("FieldValueInvalid", $"Invalid value: \"{value}\": {why}", field);

    /// <summary>Numbers are not quoted (Kubernetes: field.Error).</summary>
    public static StatusCause Invalid(string field, long value, string why) => new("FieldValueInvalid", string.Create(CultureInfo.InvariantCulture, $"Invalid value: {value}: {why}"), field);

    /// <summary>A member of whatever form: a text quoted, everything else as JSON, <c>null</c> where it is absent.</summary>
    public static StatusCause InvalidJson(string field, JsonNode? value, string why) => new("FieldValueInvalid", $"Invalid value: {CustomResources.StructuralValidation.Shown(value)}: {why}", field);

    public static StatusCause Required(string field, string why = "") => new("FieldValueRequired", why.Length == 0 ? "Required value" : $"Required value: {why}", field);

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public static string Suffix(Random random)
    {
        lock (random) return string.Create(SuffixChars, random, static (span, r) => { foreach (ref var c in span) c = SuffixLetters[r.Next(SuffixLetters.Length)]; });
    }

    /// <summary>A version 4 UUID out of the Random that was handed in.</summary>
    public static string NewUid(Random random)
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (random) random.NextBytes(bytes);
        bytes[6] = (byte)(bytes[6] & 0x0f | 0x40);
        bytes[8] = (byte)(bytes[8] & 0x3f | 0x80);
        return new Guid(bytes, bigEndian: true).ToString();
    }

    private static void CheckNamespace(JsonObject metadata, ResourceKey key)
    {
        var ns = metadata.Text("namespace");
        if (!key.Kind.Namespaced) return;
        if (key.Namespace.Length == 0) throw Status.BadRequest("an empty namespace may not be set during creation");
        if (ns.Length > 0 && ns != key.Namespace)
        {
            throw Status.BadRequest($"the namespace of the provided object does not match the namespace sent on the request: {ns} is not {key.Namespace}");
        }
    }

    private static void ValidateOwners(JsonArray owners, List<StatusCause> causes)
    {
        var controllers = 0;
        for (var i = 0; i < owners.Count; i++)
        {
            if (owners[i] is not JsonObject owner) continue;
            foreach (var name in (ReadOnlySpan<string>)["apiVersion", "kind", "name", "uid"])
            {
                if (owner.Text(name).Length == 0) causes.Add(Required($"metadata.ownerReferences[{i}].{name}", "must not be empty"));
            }
            if (owner.Flag("controller") && ++controllers == 2)
            {
                causes.Add(Invalid("metadata.ownerReferences", owner.Text("name"), "Only one reference can have Controller set to true"));
            }
        }
    }
}
