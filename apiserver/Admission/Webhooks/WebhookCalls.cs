using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.ApiServer.Cel;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Patch;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Registry.Versions;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission.Webhooks;

/// <summary>
/// Asks the admission webhooks with an AdmissionReview (admission.k8s.io/v1): the mutating ones in turn, each seeing what the one before has
/// changed, then the validating ones all at once.
/// </summary>
internal sealed class WebhookCalls(RevisionLog log, CustomKinds kinds, Conversion conversion, CallHook hook, Func<User, AccessQuestion, bool> allows, Random random)
{
    private readonly WebhookTable _mutating = new(log, Kind.MutatingWebhookConfiguration);
    private readonly WebhookTable _validating = new(log, Kind.ValidatingWebhookConfiguration);

    /// <summary>Configurations of webhooks and policies are shown to none: a wrong one could else never be mended.</summary>
    public static bool Concerns(Kind kind) => kind.Group != "admissionregistration.k8s.io";

    /// <summary>
    /// The object as the mutating webhooks leave it. Where one has changed it, what this server fills in is filled in again, and those that ask for it
    /// (reinvocationPolicy IfNeeded) are called once more if the object is no longer as they left it.
    /// </summary>
    /// <param name="decode">Reads a changed object as a write of its kind: fields it does not have go, defaults come.</param>
    /// <param name="fill">Fills in what the server itself does, in the request's object.</param>
    public async Task<JsonObject?> Mutate(AdmissionRequest request, Func<JsonObject, JsonObject> decode, Action<AdmissionRequest> fill, CancellationToken stop)
    {
        var hooks = _mutating.All;
        if (hooks.Count == 0 || !Concerns(request.Key.Kind)) return request.Object;
        var left = new Dictionary<Webhook, JsonObject?>(ReferenceEqualityComparer.Instance);
        var changed = false;
        for (var i = 0; i < hooks.Count; i++) await Ask(hooks[i], $"round_0_index_{i}");
        if (!changed) return request.Object;
        fill(request);
        for (var i = 0; i < hooks.Count; i++)
        {
            if (hooks[i].Reinvokes && left.TryGetValue(hooks[i], out var seen) && !JsonNode.DeepEquals(seen, request.Object)) await Ask(hooks[i], $"round_1_index_{i}");
        }
        return request.Object;

        async Task Ask(Webhook x, string at)
        {
            if (Asked(x, request) is not { } asked) return;
            var mutates = false;
            try
            {
                if (await Call(x, request, asked, "mutation", at, stop) is not { } answer) return;
                if (answer.Text("patch") is { Length: > 0 } patch && request.Object is { } current)
                {
                    request = request with { Object = decode(await Patched(x, request, current, answer, patch, stop)) };
                    mutates = !JsonNode.DeepEquals(current, request.Object);
                }
                changed |= mutates;
                left[x] = (JsonObject?)request.Object?.DeepClone();
            }
            finally
            {
                Note(request, $"mutation.webhook.admission.k8s.io/{at}", new JsonObject { ["configuration"] = x.Configuration, ["webhook"] = x.Name, ["mutated"] = mutates }.ToJsonString());
            }
        }
    }

    /// <exception cref="ApiException">A webhook denies the request, or can not be asked and its policy is Fail.</exception>
    public async Task Validate(AdmissionRequest request, CancellationToken stop)
    {
        var hooks = _validating.All;
        if (hooks.Count == 0 || !Concerns(request.Key.Kind)) return;
        await Task.WhenAll(hooks.Select((x, i) => Ask(x, $"round_0_index_{i}")));

        async Task Ask(Webhook x, string at)
        {
            if (Asked(x, request) is { } asked) await Call(x, request, asked, "validating", at, stop);
        }
    }

    /// <summary>The kind and the description that the webhook is shown; null where it is not for the request.</summary>
    private (Kind Kind, JsonObject Described)? Asked(Webhook x, AdmissionRequest request)
    {
        if (x.Match.Find(request, log, kinds.All) is not { } kind) return null;
        try
        {
            var described = request.Describe(Metadata.NewUid(random), kind);
            return x.Conditions.Hold(MatchConditions.Values(request, described, allows)) ? (kind, described) : null;
        }
        catch (CelException) when (!x.Fails)
        {
            return null;
        }
        catch (CelException e)
        {
            throw Status.Forbidden(request.Key.Kind, request.Key.Name, e.Message);
        }
    }

    /// <summary>The response where the request is allowed; null where the webhook could not be asked and may be passed over.</summary>
    /// <param name="type">In the audit event's words.</param>
    /// <param name="at">Its place among the calls, for the audit event.</param>
    private async Task<JsonObject?> Call(Webhook x, AdmissionRequest request, (Kind Kind, JsonObject Described) asked, string type, string at, CancellationToken stop)
    {
        var (kind, described) = asked;
        try
        {
            if (request.DryRun && x.HasSideEffects) throw Status.BadRequest($"admission webhook \"{x.Name}\" does not support dry run");
            described["object"] = await Shown(request.Object, request.Key, kind, stop);
            described["oldObject"] = await Shown(request.Old, request.Key, kind, stop);
            var review = new JsonObject { ["kind"] = "AdmissionReview", ["apiVersion"] = "admission.k8s.io/v1", ["request"] = described };
            var body = await hook(x.Target, Encoding.UTF8.GetBytes(review.ToJsonString()), x.Timeout, stop);
            return Answered(x, described.Text("uid"), body, request);
        }
        catch (HookException e) when (!x.Fails)
        {
            Note(request, $"failed-open.{type}.webhook.admission.k8s.io/{at}", x.Name);
            Warn(request.Warnings, $"admission webhook \"{x.Name}\" was passed over: {e.Message}");
            return null;
        }
        catch (HookException e)
        {
            throw Status.Internal($"failed calling webhook \"{x.Name}\": failed to call webhook: {e.Message}");
        }
    }

    /// <summary>For the audit event, which several webhooks may write to at once.</summary>
    private static void Note(AdmissionRequest request, string key, string value)
    {
        if (request.AuditAnnotations is not { } annotations) return;
        lock (annotations) annotations[key] = value;
    }

    private static JsonObject Answered(Webhook x, string uid, ReadOnlyMemory<byte> body, AdmissionRequest request)
    {
        JsonObject? review;
        try
        {
            review = JsonNode.Parse(body.Span) as JsonObject;
        }
        catch (JsonException e)
        {
            throw new HookException($"the answer is no JSON: {e.Message}", e);
        }
        if (review?.Text("kind") != "AdmissionReview" || review.Text("apiVersion") != "admission.k8s.io/v1") throw new HookException("expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview");
        if (review.Object("response") is not { } response) throw new HookException("the answer has no response");
        if (response.Text("uid") != uid) throw new HookException($"expected response.uid=\"{uid}\", got \"{response.Text("uid")}\"");
        if (response.Text("patch").Length > 0 != (response.Text("patchType") == "JSONPatch")) throw new HookException("expected patch and patchType \"JSONPatch\" together");
        foreach (var warning in OperationRule.Texts(response, "warnings")) Warn(request.Warnings, warning);
        foreach (var (key, value) in response.Object("auditAnnotations") ?? [])
        {
            if (value?.GetValueKind() == JsonValueKind.String) Note(request, $"{x.Name}/{key}", value.GetValue<string>());
        }
        return response.Flag("allowed") ? response : throw Denied(x, response.Object("status") ?? []);
    }

    // Code, reason and details are the webhook's own, as long as they are those of a refusal.
    private static ApiException Denied(Webhook x, JsonObject status)
    {
        var by = $"admission webhook \"{x.Name}\" denied the request";
        var (message, reason) = (status.Text("message"), status.Text("reason"));
        var code = status.Number("code") is >= 400 and < 600 and var given ? (int)given : 400;
        var details = Status.Read(code, Encoding.UTF8.GetBytes(new JsonObject { ["kind"] = "Status", ["details"] = status["details"]?.DeepClone() }.ToJsonString()));
        return new(details with { Code = code, Reason = reason, Message = message.Length > 0 ? $"{by}: {message}" : reason.Length > 0 ? $"{by}: {reason}" : $"{by} without explanation" });
    }

    private async Task<JsonObject> Patched(Webhook x, AdmissionRequest request, JsonObject current, JsonObject response, string patch, CancellationToken stop)
    {
        try
        {
            var kind = x.Match.Find(request, log, kinds.All)!;
            var shown = (await Shown(current, request.Key, kind, stop))!;
            var patched = Canonical.Parse(Patches.Apply(PatchKind.Json, Api.Schema.TypeTable.Unknown, Encoding.UTF8.GetBytes(shown.ToJsonString()), Convert.FromBase64String(patch)));
            var back = await Unshown(patched, request.Key, kind, stop);
            // Whose object it is, is not for a webhook to say.
            foreach (var name in (ReadOnlySpan<string>)["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"])
            {
                Canonical.CopyMember(Metadata.Of(current), Metadata.Of(back), name);
            }
            return back;
        }
        catch (Exception e) when (e is FormatException or ApiException { Code: 400 or 422 })
        {
            throw Status.Internal($"failed calling webhook \"{x.Name}\": its patch can not be applied: {e.Message}");
        }
    }

    private async Task<JsonObject?> Shown(JsonObject? json, ResourceKey key, Kind kind, CancellationToken stop)
    {
        if (json is null || kind == key.Kind) return (JsonObject?)json?.DeepClone();
        var stored = new Stored(key, Metadata.Uid(json), 0, Canonical.Bytes(json, key.Kind));
        return Canonical.Parse(kind is CustomKind custom ? await conversion.To(stored.Json, custom, stop) : ServedVersions.Served(stored, kind).Json);
    }

    private async Task<JsonObject> Unshown(JsonObject json, ResourceKey key, Kind kind, CancellationToken stop)
    {
        if (kind == key.Kind) return json;
        return key.Kind is CustomKind custom ? Canonical.Parse(await conversion.To(Canonical.Bytes(json, kind), custom, stop)) : ServedVersions.ToStored(json, kind);
    }

    private static void Warn(ICollection<string>? warnings, string warning)
    {
        if (warnings is null) return;
        lock (warnings)
        {
            if (warnings.Count < Limits.WarningsMax) warnings.Add(warning);
        }
    }
}
