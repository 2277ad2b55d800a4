using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Objects;
using Declarative.ApiServer.Http.Audit;

namespace Declarative.ApiServer.Http;

/// <summary>POST, PUT, PATCH and DELETE of one object.</summary>
internal static class Writes
{
    public static async Task Create(Exchange exchange)
    {
        var accept = exchange.Accept;
        var body = await Bodies.ReadObject(exchange.Context);
        var warnings = new List<string>();
        var stored = await exchange.Api.Create(exchange.Key, body, Options(exchange, warnings), exchange.Aborted);
        Answers.Warn(exchange.Context, warnings);
        // These two subresources are orders, not objects: their answer is a bare success.
        if (exchange.Path.Subresource is "binding" or "eviction") await Answers.Status(exchange.Context, new(201, "", ""));
        else await Forms.Object(exchange, 201, stored, accept);
    }

    public static async Task Update(Exchange exchange)
    {
        var accept = exchange.Accept;
        var body = await Bodies.ReadObject(exchange.Context);
        var warnings = new List<string>();
        var stored = await exchange.Api.Update(exchange.Key, body, Options(exchange, warnings), exchange.Aborted);
        Answers.Warn(exchange.Context, warnings);
        await Forms.Object(exchange, 200, stored, accept);
    }

    public static async Task Patch(Exchange exchange)
    {
        var accept = exchange.Accept;
        var kind = Bodies.MediaType(exchange.Context.Request.ContentType) switch
        {
            "application/json-patch+json" => PatchKind.Json,
            "application/merge-patch+json" => PatchKind.Merge,
            "application/strategic-merge-patch+json" => PatchKind.Strategic,
            "application/apply-patch+yaml" => PatchKind.Apply,
            _ => throw Bodies.UnknownType("application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, application/apply-patch+yaml"),
        };
        var body = kind == PatchKind.Apply ? await Bodies.ReadApply(exchange.Context) : await Bodies.Read(exchange.Context);
        AuditedRequest.Of(exchange.Context)?.Sent(body);
        var warnings = new List<string>();
        var options = Options(exchange, warnings) with { Force = exchange.Query.Flag("force") };
        var code = kind == PatchKind.Apply && exchange.Path.Subresource.Length == 0 && !await Exists(exchange) ? 201 : 200;
        var stored = await exchange.Api.Patch(exchange.Key, kind, body, options, exchange.Aborted);
        Answers.Warn(exchange.Context, warnings);
        await Forms.Object(exchange, code, stored, accept);
    }

    public static async Task Delete(Exchange exchange)
    {
        var accept = exchange.Accept;
        var warnings = new List<string>();
        var options = await DeleteBody.Read(exchange) with { Warnings = warnings, AuditAnnotations = Audit.AuditedRequest.Of(exchange.Context)?.Annotations };
        var stored = await exchange.Api.Delete(exchange.Key, options, exchange.Aborted);
        Answers.Warn(exchange.Context, warnings);
        if (Remains(stored) || exchange.Path.Kind.Equals(Declarative.Api.Kinds.Kind.Pod))
        {
            await Forms.Object(exchange, 200, stored, accept);
            return;
        }
        await Answers.Status(exchange.Context, new(200, "", "")
        {
            Name = stored.Key.Name,
            Group = exchange.Path.Kind.Group,
            Kind = exchange.Path.Kind.Plural,
            Uid = stored.Uid,
        });
    }

    /// <summary>Lists, then deletes one by one; what somebody else has deleted meanwhile is passed over.</summary>
    /// <param name="api">The server's own: who may deletecollection needs no right to list or to delete one by one.</param>
    public static async Task DeleteCollection(Exchange exchange, IApi api)
    {
        var accept = exchange.Accept;
        var warnings = new List<string>();
        var options = await DeleteBody.Read(exchange) with { Warnings = warnings, AuditAnnotations = Audit.AuditedRequest.Of(exchange.Context)?.Annotations };
        var list = await api.List(Reads.Request(exchange), exchange.Aborted);
        var deleted = new List<Stored>(list.Items.Count);
        foreach (var item in list.Items)
        {
            try
            {
                deleted.Add(await api.Delete(item.Key, options, exchange.Aborted));
            }
            catch (ApiException gone) when (gone.IsNotFound)
            {
                deleted.Add(item);
            }
        }
        Answers.Warn(exchange.Context, warnings);
        await Forms.List(exchange, list with { Items = deleted }, accept);
    }

    public static WriteOptions Options(Exchange exchange, ICollection<string> warnings)
    {
        var query = exchange.Query;
        OptionChecks.Write(exchange.Verb switch { "patch" => "PatchOptions", "update" => "UpdateOptions", _ => "CreateOptions" }, query, IsApply(exchange));
        return new()
        {
            Subresource = exchange.Path.Subresource,
            DryRun = query.Has("dryRun"),
            FieldManager = FieldManager(exchange),
            FieldValidation = query.Text("fieldValidation") switch
            {
                "Strict" => FieldValidation.Strict,
                "Ignore" => FieldValidation.Ignore,
                _ => FieldValidation.Warn,
            },
            Warnings = warnings,
            AuditAnnotations = Audit.AuditedRequest.Of(exchange.Context)?.Annotations,
        };
    }

    /// <summary>Without the parameter, as in Kubernetes, the first word of the User-Agent names the manager.</summary>
    private static string FieldManager(Exchange exchange)
    {
        var named = exchange.Query.Text("fieldManager");
        return named.Length > 0 ? named : OptionChecks.ManagerOf(exchange.Context.Request.Headers.UserAgent.ToString());
    }

    private static bool IsApply(Exchange exchange) =>
        exchange.Verb == "patch" && Bodies.MediaType(exchange.Context.Request.ContentType) == "application/apply-patch+yaml";

    private static async ValueTask<bool> Exists(Exchange exchange)
    {
        try
        {
            await exchange.Api.Get(exchange.Key, stop: exchange.Aborted);
            return true;
        }
        catch (ApiException refusal) when (refusal.Code is 404 or 403)
        {
            return false;
        }
    }

    /// <summary>True where a DELETE has only marked the object: it has a deletionTimestamp and waits for finalizers or its grace period.</summary>
    private static bool Remains(Stored stored)
    {
        var metadata = Declarative.Api.Objects.ApiObject.Read(stored.Json).Metadata;
        return metadata.IsDeleting && (metadata.Finalizers.Count > 0 || metadata.DeletionGracePeriodSeconds > 0);
    }
}
