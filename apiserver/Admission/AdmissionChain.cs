using System.Text.Json.Nodes;
using Declarative.Api;
using Declarative.ApiServer.Admission.Amounts;
using Declarative.ApiServer.Admission.Policies;
using Declarative.ApiServer.Admission.Webhooks;
using Declarative.ApiServer.CustomResources;
using Declarative.ApiServer.Registry;
using Declarative.ApiServer.Storage;

namespace Declarative.ApiServer.Admission;

/// <summary>
/// What a write passes between its decoding and the store. The API server's own writes pass nothing: it must be able to start whatever its users
/// have configured.
/// </summary>
/// <param name="allows">Asks authorization, for expressions.</param>
/// <param name="charge">Changes a quota's status, conditionally.</param>
internal sealed class AdmissionChain(
    RevisionLog log, CustomKinds kinds, Conversion conversion, CallHook hook, Func<User, AccessQuestion, bool> allows, Random random, Func<ResourceKey, Func<Stored, JsonObject>, CancellationToken, Task> charge)
{
    private readonly LimitRanges _limits = new(log);
    private readonly Priorities _priorities = new(log);
    private readonly ServiceAccounts _accounts = new(log);
    private readonly Quotas _quotas = new(log, charge);
    private readonly WebhookCalls _webhooks = new(log, kinds, conversion, hook, allows, random);
    private readonly PolicyCheck _policies = new(log, kinds, allows);

    /// <summary>The object as mutating admission leaves it: the same one where nothing has changed it.</summary>
    /// <param name="decode">Reads a changed object as a write of its kind.</param>
    public async Task<JsonObject> Mutate(AdmissionRequest request, Func<JsonObject, JsonObject> decode, CancellationToken stop)
    {
        if (IsOwn(request)) return request.Object!;
        Default(request);
        var scaled = Scale(request);
        var mutated = await _webhooks.Mutate(scaled, decode, Default, stop);
        if (ReferenceEquals(mutated, scaled.Object)) return request.Object!;
        return request.Subresource == "scale" ? ScaleSubresource.Replace(AsStored(request, request.Object!), mutated!) : mutated!;
    }

    /// <summary>What this server fills in itself: before the webhooks, and again where one of them has changed the object.</summary>
    private void Default(AdmissionRequest request)
    {
        _accounts.Default(request);
        _priorities.Default(request);
        Tolerations.Default(request);
        _limits.Default(request);
    }

    /// <summary>Policies before webhooks: they ask nobody else. Quotas last: what is refused by another is not charged.</summary>
    /// <exception cref="ApiException">The request is denied.</exception>
    public async Task Validate(AdmissionRequest request, CancellationToken stop)
    {
        if (IsOwn(request)) return;
        _limits.Check(request);
        var shown = Scale(request);
        _policies.Check(shown);
        await _webhooks.Validate(shown, stop);
        await _quotas.Charge(request, stop);
    }

    /// <summary>A deletion is shown to mutating webhooks too, who may deny it.</summary>
    public async Task ValidateDelete(AdmissionRequest request, CancellationToken stop)
    {
        if (IsOwn(request)) return;
        await _webhooks.Mutate(request, x => x, _ => { }, stop);
        await Validate(request, stop);
    }

    private static bool IsOwn(AdmissionRequest request) => ReferenceEquals(request.User, User.ApiServer);

    /// <summary>A write to scale is shown as the Scale that it is.</summary>
    private static AdmissionRequest Scale(AdmissionRequest request) => request is { Subresource: "scale", Object: { } wanted, Old: { } old } && request.Object.Text("kind") != "Scale"
        ? request with { Object = Canonical.Parse(ScaleSubresource.Of(AsStored(request, wanted)).Json), Old = Canonical.Parse(ScaleSubresource.Of(AsStored(request, old)).Json) }
        : request;

    private static Stored AsStored(AdmissionRequest request, JsonObject json) => new(request.Key, Metadata.Uid(json), 0, Canonical.Bytes(json, request.Key.Kind));
}
