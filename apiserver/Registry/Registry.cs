using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Api.Schema;
using Declarative.ApiServer.Admission;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Patch;
using Declarative.ApiServer.Registry.Strategies;
using Declarative.ApiServer.Registry.Versions;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Registry;

/// <summary>
/// The generic paths of the API, one function per verb, each to be read from top to bottom. What differs between kinds is the
/// kind's <see cref="Strategy"/>.
/// </summary>
internal sealed partial class Registry(RevisionLog log, ApiServerOptions options, TimeProvider time, Random random)
{
    private const int NameAttemptsMax = 8;
    private readonly WriteContext _context = new(log, options, time, random);
    private readonly Conversion _conversion = new(options.Hook, random);
    private AdmissionChain Admission => field ??= new(log, Kinds, _conversion, options.Hook, options.Allows, random,
        (quota, change, stop) => Change(User.ApiServer, quota, new() { Subresource = "status" }, change, stop));

    internal WriteContext Context => _context;

    /// <summary>What is served now, with the kinds that definitions make.</summary>
    public CustomKinds Kinds => _context.Custom;

    /// <param name="mayNameRevision">A write that creates because there is nothing to change: what it was made from does not matter then.</param>
    /// <param name="attempt">A made-up name that is taken is made up again (Kubernetes: RetryGenerateName).</param>
    public async Task<Stored> Create(User user, ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions write, CancellationToken stop, bool mayNameRevision = false, int attempt = 0)
    {
        Allow(user, "create", key, write.Subresource);
        var asked = key;
        key = Kinds.Resolve(key);
        if (write.Subresource.Length > 0)
        {
            var body = await Admission.Mutate(AdmissionRequest.Of(user, "CREATE", key, Canonical.Parse(json), null, write), x => x, stop);
            await Admission.Validate(AdmissionRequest.Of(user, "CREATE", key, body, null, write), stop);
            return await PodSubresources.Create(this, user, key, body, write, stop);
        }
        var served = key.Kind;
        key = ServedVersions.StoredAs(key);
        var strategy = Strategy.Of(key.Kind);
        var wanted = ServedVersions.ToStored(Decode(served, json, write), served);
        var makesName = key.Name.Length == 0 && Metadata.Name(wanted).Length == 0;
        if (!mayNameRevision && Metadata.Revision(wanted) is not null) throw Status.RevisionOnCreate();
        key = Metadata.NameForCreate(wanted, key, strategy, random);
        NamespaceAccepts(key);
        Metadata.PrepareForCreate(wanted, key, strategy, time, random);
        if (strategy.HasStatus) wanted.Remove("status");
        strategy.Requested(wanted, user);
        strategy.Default(wanted);
        var request = AdmissionRequest.Of(user, "CREATE", key, wanted, null, write);
        wanted = await Admission.Mutate(request, x => Mutated(x, key.Kind, strategy), stop);
        strategy.Requested(wanted, user); // Again: no webhook says who asks.
        strategy.PrepareForCreate(wanted, _context);
        Valid(strategy, key, wanted, null, write);
        if (options.CheckGrant(user, key, wanted, null) is { } refused) throw refused;
        await Admission.Validate(request with { Object = wanted }, stop);
        strategy.Allocate(wanted, null, _context);

        var bytes = Canonical.Bytes(wanted, key.Kind);
        if (write.DryRun)
        {
            if (log.Get(CustomKind.StoredAs(key)) is not null) throw Status.AlreadyExists(key.Kind, key.Name);
            return ServedVersions.Served(new(key, Metadata.Uid(wanted), 0, bytes), served);
        }
        var result = await log.Commit(new(CustomKind.StoredAs(key), Metadata.Uid(wanted), Expected: 0, await _conversion.ToStored(bytes, key.Kind, stop)) { Origin = History.Of(user, write.FieldManager, Origin.Create, key.Kind, wanted, time), Holds = strategy.Holds(wanted, _context) }, stop);
        if (result.Stored is { } stored) return ServedVersions.Served(await _conversion.ToServed(stored, key.Kind, stop), served);
        strategy.Release(wanted, _context);
        var taken = log.Get(CustomKind.StoredAs(key)) is not null;
        if (taken && makesName && attempt < NameAttemptsMax) return await Create(user, asked, json, write, stop, mayNameRevision, attempt + 1);
        if (taken) throw Status.AlreadyExists(key.Kind, key.Name);
        // What was taken for it has gone to an object that another server wrote: again, with that one in sight.
        return await Create(user, key with { Kind = served }, json, write, stop, mayNameRevision);
    }

    public async Task<Stored> Update(User user, ResourceKey key, ReadOnlyMemory<byte> json, WriteOptions write, CancellationToken stop)
    {
        Allow(user, "update", key, write.Subresource);
        key = Kinds.Resolve(key);
        if (write.Subresource == "scale") return await Change(user, key, write, current => ScaleSubresource.Replace(current, Decode(json)), stop);
        if (write.Subresource == "binding") throw Status.MethodNotAllowed("a binding is created, not updated");
        var stored = ServedVersions.StoredAs(key);
        var decoded = ServedVersions.ToStored(Decode(key.Kind, json, write), key.Kind);
        Metadata.CheckName(decoded, key);
        if (log.Get(CustomKind.StoredAs(stored)) is null && Strategy.Of(stored.Kind).CreatesOnUpdate && write.Subresource.Length == 0) return await Create(user, key, json, write, stop, mayNameRevision: true);
        return ServedVersions.Served(await Change(user, stored, write, _ => (JsonObject)decoded.DeepClone(), stop), key.Kind);
    }

    public async Task<Stored> Patch(User user, ResourceKey key, PatchKind kind, ReadOnlyMemory<byte> patch, WriteOptions write, CancellationToken stop)
    {
        Allow(user, "patch", key, write.Subresource);
        key = Kinds.Resolve(key);
        if (kind == PatchKind.Apply) return ServedVersions.Served(await Apply(user, key, patch, write, stop), key.Kind);
        return ServedVersions.Served(await Change(user, ServedVersions.StoredAs(key), write, current =>
        {
            if (write.Subresource == "scale")
            {
                var scale = ScaleSubresource.Of(current);
                return ScaleSubresource.Replace(current, Decode(Patches.Apply(kind, ScaleSubresource.Type, scale.Json, patch)));
            }
            var live = ServedVersions.Served(current, key.Kind).Json;
            return ServedVersions.ToStored(Decode(key.Kind, Patches.Apply(kind, PatchType(key.Kind), live, patch), write), key.Kind);
        }, stop), key.Kind);
    }

    // Strategic merge needs merge keys, which schemas of definitions do not have: it is refused for them, as in Kubernetes.
    private static SchemaType PatchType(Kind kind) => kind is CustomKind ? TypeTable.Unknown : CustomKind.TypeOf(kind);

    /// <summary>Server-side apply: creates what is absent, else merges by who owns which field.</summary>
    private Task<Stored> Apply(User user, ResourceKey key, ReadOnlyMemory<byte> patch, WriteOptions write, CancellationToken stop)
    {
        if (write.FieldManager.Length == 0) throw new ApiException(new Status(422, StatusReason.Invalid, "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch"));
        var json = IsJson(patch.Span) ? patch : Api.Wire.Yaml.ToJson(patch);
        if (write.Subresource != "scale") AppliedFields.Check(key, json);
        var wanted = write.Subresource == "scale" ? ScaleSubresource.Configuration(key, Decode(json)) : ServedVersions.ToStored(Decode(key.Kind, json, write), key.Kind);
        key = ServedVersions.StoredAs(key);
        var type = CustomKind.TypeOf(key.Kind);
        if (write.Subresource.Length == 0 && Strategy.Of(key.Kind).HasStatus) wanted.Remove("status");
        // Who applies a status owns nothing else, whatever stands beside it in the file.
        if (write.Subresource == "status") foreach (var name in wanted.Select(x => x.Key).Except(["apiVersion", "kind", "metadata", "status"]).ToList()) wanted.Remove(name);
        var config = Canonical.Bytes(wanted, key.Kind);
        var writer = new FieldWriter(write.FieldManager, key.Kind.ApiVersion, write.Subresource);
        if (log.Get(CustomKind.StoredAs(key)) is null && write.Subresource.Length == 0)
        {
            return Create(user, key, ServerSideApply.Apply(type, default, config, writer, write.Force, time.GetUtcNow()), write, stop, mayNameRevision: true);
        }
        return Change(user, key, write, current => Decode(key.Kind, ServerSideApply.Apply(type, current.Json, config, writer, write.Force, time.GetUtcNow(), Complete), write), stop, tracks: false);

        byte[] Complete(byte[] merged) => Canonical.Bytes(Mutated(Canonical.Parse(merged), key.Kind, Strategy.Of(key.Kind)), key.Kind);

        static bool IsJson(ReadOnlySpan<byte> body) => body.TrimStart(" \t\r\n"u8) is [(byte)'{', ..];
    }

    public async Task<Stored> Delete(User user, ResourceKey key, DeleteOptions delete, CancellationToken stop)
    {
        Allow(user, "delete", key, "");
        key = Kinds.Resolve(key);
        var deleted = await DeleteStored(user, user, ServedVersions.StoredAs(key), delete, stop);
        return ServedVersions.Served(await _conversion.ToServed(deleted, key.Kind, stop), key.Kind);
    }

    /// <summary>The deletion of a pod that an eviction was granted for: it has passed admission as an eviction.</summary>
    internal Task<Stored> Evict(User user, ResourceKey key, DeleteOptions delete, CancellationToken stop) => DeleteStored(User.ApiServer, user, key, delete, stop);

    /// <param name="asked">Who stands in the history.</param>
    private async Task<Stored> DeleteStored(User user, User asked, ResourceKey key, DeleteOptions delete, CancellationToken stop)
    {
        var strategy = Strategy.Of(key.Kind);
        for (var attempt = 0; ; attempt++)
        {
            var current = Current(key).Stored;
            if (attempt == 0 && IsLarge(current)) await Task.Yield();
            if (delete.Uid is { } uid && uid != current.Uid)
            {
                throw Status.Conflict(key.Kind, key.Name, $"Precondition failed: UID in precondition: {uid}, UID in object meta: {current.Uid}");
            }
            if (delete.Revision is { } revision && revision != current.Revision)
            {
                throw Status.Conflict(key.Kind, key.Name, $"Precondition failed: ResourceVersion in precondition: {revision}, ResourceVersion in object meta: {current.Revision}");
            }
            strategy.MayDelete(key);
            if (!ReferenceEquals(user, User.ApiServer))
            {
                var old = Canonical.Parse((await _conversion.ToServed(current, key.Kind, stop)).Json);
                await Admission.ValidateDelete(new(user, "DELETE", key, "", null, old) { DryRun = delete.DryRun, Warnings = delete.Warnings, AuditAnnotations = delete.AuditAnnotations }, stop);
            }
            var json = Canonical.Parse(current.Json);
            var mark = Deletion.Mark(json, strategy, delete, time.GetUtcNow());
            if (mark == DeletionStep.Nothing) return current;
            // The stored version is kept as it is: a mark needs no conversion.
            var bytes = key.Kind is CustomKind custom ? Canonical.Bytes(json, json.Text("apiVersion"), custom.Name) : Canonical.Bytes(json, key.Kind);
            if (delete.DryRun) return current with { Json = StoredJson.WithRevision(bytes, current.Revision) };
            var at = CustomKind.StoredAs(key);
            var origin = History.Of(asked, "", Origin.Delete, key.Kind, json, time);
            var result = await log.Commit(mark == DeletionStep.Remove
                ? new(at, current.Uid, current.Revision, null, bytes) { Origin = origin }
                : new(at, current.Uid, current.Revision, bytes) { Origin = origin }, stop);
            if (result.Stored is { } stored)
            {
                if (mark == DeletionStep.Remove) strategy.Release(json, _context);
                return stored;
            }
            if (attempt == StoreLimits.PatchAttemptsMax) throw Status.Modified(key.Kind, key.Name);
        }
    }

    /// <summary>Shows a connection to admission, as an operation of its own on a subresource (exec, attach, portforward, proxy). Who may connect is asked elsewhere.</summary>
    /// <param name="options">The connection's parameters as an object.</param>
    /// <exception cref="ApiException">A webhook or policy denies it.</exception>
    public async Task Connect(User user, ResourceKey key, JsonObject options, WriteOptions write, CancellationToken stop)
    {
        var request = AdmissionRequest.Of(user, "CONNECT", key, options, null, write);
        await Admission.Mutate(request, x => x, stop);
        await Admission.Validate(request, stop);
    }

    /// <summary>
    /// Reads, lets <paramref name="change"/> compute the wanted object, and stores it if nothing else was stored meanwhile; else again,
    /// unless the wanted object names the revision it was made from.
    /// </summary>
    /// <param name="tracks">Keeps managedFields of an object that somebody has applied; false where the change has done so itself.</param>
    internal async Task<Stored> Change(User user, ResourceKey key, WriteOptions write, Func<Stored, JsonObject> change, CancellationToken stop, bool tracks = true)
    {
        var strategy = Strategy.Of(key.Kind);
        for (var attempt = 0; ; attempt++)
        {
            var found = Current(key).Stored;
            if (attempt == 0 && IsLarge(found)) await Task.Yield();
            var current = await _conversion.ToServed(found, key.Kind, stop);
            var wanted = change(current);
            var pinned = Metadata.Revision(wanted);
            if (pinned is { } revision && revision != current.Revision) throw Status.Modified(key.Kind, key.Name);
            var old = Canonical.Parse(current.Json);
            Metadata.PrepareForUpdate(wanted, old, key);
            if (write.Subresource is "" or "scale")
            {
                if (strategy.HasStatus) Canonical.CopyMember(old, wanted, "status");
                strategy.Default(wanted);
            }
            var request = AdmissionRequest.Of(user, "UPDATE", key, wanted, old, write);
            if (write.Subresource != "binding") wanted = await Admission.Mutate(request, x => write.Subresource == "scale" ? x : Mutated(x, key.Kind, strategy), stop);
            if (write.Subresource is "" or "scale")
            {
                if (strategy.HasStatus && !ReferenceEquals(wanted, request.Object)) Canonical.CopyMember(old, wanted, "status");
                strategy.PrepareForUpdate(wanted, old, _context);
                Metadata.Generation(wanted, old, strategy);
            }
            else
            {
                strategy.PrepareSubresource(write.Subresource, wanted, old, _context);
            }
            Valid(strategy, key, wanted, old, write);
            strategy.MayChange(user, write.Subresource, wanted, old, _context);
            if (options.CheckGrant(user, key, wanted, old) is { } refused) throw refused;
            if (write.Subresource != "binding") await Admission.Validate(request with { Object = wanted }, stop);
            if (write.Subresource.Length == 0) strategy.Allocate(wanted, old, _context);

            var remove = Deletion.IsDone(wanted, strategy);
            var bytes = Canonical.Bytes(wanted, key.Kind);
            var isApplied = Metadata.Of(old)["managedFields"] is not null;
            if (!remove && IsSame(current, old, key.Kind, bytes, isCanonical: !isApplied && key.Kind.IsBuiltIn)) return Answer(current);
            // Objects that nobody applies carry no bookkeeping: it would double them and every write.
            if (tracks && isApplied) bytes = Track(key.Kind, current.Json, bytes, write);
            if (write.DryRun) return Answer(current with { Json = StoredJson.WithRevision(bytes, current.Revision) });
            bytes = await _conversion.ToStored(bytes, key.Kind, stop);
            var at = CustomKind.StoredAs(key);
            var origin = write.Subresource is "" or "scale" ? History.Of(user, write.FieldManager, remove ? Origin.Delete : Origin.Update, key.Kind, wanted, time) : null;
            var result = await log.Commit(remove ? new(at, current.Uid, current.Revision, null, bytes, origin) : new(at, current.Uid, current.Revision, bytes) { Origin = origin, Holds = strategy.Holds(wanted, _context) }, stop);
            if (result.Stored is { } stored)
            {
                if (remove) strategy.Release(wanted, _context);
                return Answer(await _conversion.ToServed(stored, key.Kind, stop));
            }
            if (attempt == StoreLimits.PatchAttemptsMax) throw Status.Modified(key.Kind, key.Name);
        }

        Stored Answer(Stored stored) => write.Subresource == "scale" ? ScaleSubresource.Of(stored) : stored;
    }

    /// <param name="old">What <paramref name="current"/> says.</param>
    /// <param name="isCanonical">It is stored as <see cref="Canonical"/> has written it.</param>
    private static bool IsSame(Stored current, JsonObject old, Kind kind, ReadOnlySpan<byte> bytes, bool isCanonical) =>
        isCanonical ? StoredJson.IsSame(current.Json.Span, bytes) : bytes.SequenceEqual(Canonical.Bytes(old, kind));

    private static JsonObject Mutated(JsonObject json, Kind kind, Strategy strategy)
    {
        var decoded = Decode(kind, Canonical.Bytes(json, kind), new() { FieldValidation = FieldValidation.Ignore });
        strategy.Default(decoded);
        return decoded;
    }

    private byte[] Track(Kind kind, ReadOnlyMemory<byte> live, byte[] updated, WriteOptions write)
    {
        var writer = new FieldWriter(write.FieldManager.Length > 0 ? write.FieldManager : "unknown", kind.ApiVersion, write.Subresource);
        return ServerSideApply.Track(CustomKind.TypeOf(kind), live, updated, writer, time.GetUtcNow());
    }

    /// <summary>To read and compare it takes a while, and the thread that was asked for it may have others to look after.</summary>
    private static bool IsLarge(Stored current) => current.Json.Length > Limits.SmallBytesMax;

    internal Selectable Current(ResourceKey key) => log.Get(CustomKind.StoredAs(key)) ?? throw Status.NotFound(key.Kind, key.Name);

    internal void Allow(User user, string verb, ResourceKey key, string subresource)
    {
        if (options.Authorize(user, verb, key.Kind, subresource, key.Namespace, key.Name) is { } refused) throw refused;
    }

    internal static JsonObject Decode(Kind kind, ReadOnlyMemory<byte> json, WriteOptions write)
    {
        if (json.Length > Limits.RequestBodyBytesMax) throw Status.TooLarge($"the object has {json.Length} bytes, more than {Limits.RequestBodyBytesMax}");
        if (kind is CustomKind custom) return CustomStrategy.Decode(custom, json, write);
        var found = SchemaCheck.Check(TypeTable.Kind(kind.Group, kind.Version, kind.Name), json.Span, write.FieldValidation);
        var accepted = found.Accepted(kind.ApiVersion, kind.Name);
        if (write.Warnings is { } warnings)
        {
            foreach (var warning in found.Warnings.Take(Limits.WarningsMax)) warnings.Add(warning.ToString());
        }
        var decoded = Canonical.Parse(accepted);
        Canonical.CheckKind(decoded, kind);
        return decoded;
    }

    private static JsonObject Decode(ReadOnlyMemory<byte> json) => Canonical.Parse(json);

    private void NamespaceAccepts(ResourceKey key)
    {
        if (!key.Kind.Namespaced) return;
        var ns = log.Get(new(Kind.Namespace, "", key.Namespace)) ?? throw Status.NotFound(Kind.Namespace, key.Namespace);
        if (ns.Field("metadata.deletionTimestamp").Length > 0)
        {
            throw Status.Forbidden(key.Kind, key.Name, $"unable to create new content in namespace {key.Namespace} because it is being terminated");
        }
    }

    private static void Valid(Strategy strategy, ResourceKey key, JsonObject wanted, JsonObject? old, WriteOptions write)
    {
        var causes = new List<StatusCause>();
        Metadata.Validate(wanted, key, strategy, causes);
        if (old is not null) Metadata.ValidateUpdate(wanted, old, causes);
        if (write.Subresource.Length == 0 || strategy.ValidatesSubresources) strategy.Validate(wanted, old, causes);
        if (causes.Count > 0) throw Status.Invalid(key.Kind, key.Name, causes);
        if (write.Warnings is not { } warnings) return;
        if (key.Kind.WithoutEffect is { } idle) warnings.Add(idle);
        strategy.Warn(wanted, old, warnings);
        if (key.Kind.Support == KindSupport.Stored || write.Subresource.Length > 0 || (old is not null && JsonNode.DeepEquals(old["spec"], wanted["spec"]))) return;
        var type = TypeTable.Kind(key.Kind.Group, key.Kind.Version, key.Kind.Name);
        foreach (var warning in NoEffect.In(type, wanted, "").Take(Limits.WarningsMax)) warnings.Add(warning);
    }
}
