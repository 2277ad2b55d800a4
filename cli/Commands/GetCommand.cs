using System.CommandLine;
using System.Text.Json;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Api.Objects;
using Declarative.Cli.Verbs;
using Declarative.Client.Http;

namespace Declarative.Cli.Commands;

/// <summary><c>declarative get</c>: tables with the columns that the server gives to kubectl, or the objects themselves.</summary>
internal static class GetCommand
{
    private sealed record Query(bool AllNamespaces, string Labels, string Fields, string Form, bool Watch);

    public static Command Make(Machine machine)
    {
        var what = Verb.What("Kinds (pods, po, deployments.apps, all), a kind and names, or KIND/NAME");
        var all = new Option<bool>("--all-namespaces", "-A") { Description = "Objects of all namespaces" };
        var labels = new Option<string>("--selector", "-l") { Description = "Labels that objects must have (a=b,c!=d)", HelpName = "SELECTOR", DefaultValueFactory = _ => "" };
        var fields = new Option<string>("--field-selector") { Description = "Fields that objects must have (status.phase=Running)", HelpName = "SELECTOR", DefaultValueFactory = _ => "" };
        var watch = new Option<bool>("--watch", "-w") { Description = "Then print each change" };
        var form = new Option<string>("--output", "-o") { Description = string.Join(", ", Output.Forms), HelpName = "FORM", DefaultValueFactory = _ => "" };
        form.AcceptOnlyFromAmong(Output.Forms);
        return new Command("get", "Show objects.") { what, all, labels, fields, watch, form }.With(machine, (session, parsed, stop) =>
            Run(session, Target.Parse(parsed.GetValue(what)!), new(parsed.GetValue(all), parsed.GetValue(labels)!, parsed.GetValue(fields)!, parsed.GetValue(form)!, parsed.GetValue(watch)), stop));
    }

    private static async Task<int> Run(Session session, IReadOnlyList<Target> targets, Query query, CancellationToken stop)
    {
        LabelSelector.Parse(query.Labels); // a wrong selector is named before anything is asked
        if (query.Watch && targets.Count > 1) throw new UsageException("-w watches one kind or one object");
        return query.Form is "" or "wide" ? await Tables(session, targets, query, stop) : await Objects(session, targets, query, stop);
    }

    private static async Task<int> Tables(Session session, IReadOnlyList<Target> targets, Query query, CancellationToken stop)
    {
        var code = 0;
        var found = false;
        var kinds = targets.Select(x => x.Kind).Distinct().Count();
        foreach (var group in targets.GroupBy(x => (x.Kind, HasName: x.Name is not null)))
        {
            var kind = group.Key.Kind;
            var table = new TableText(query.Form == "wide", query.AllNamespaces && kind.Namespaced, kinds > 1 ? KindNames.Of(kind) : null);
            var text = "";
            foreach (var target in group)
            {
                try
                {
                    using var answer = await Table(session, Url(session, target, query), stop);
                    text += table.Print(answer.RootElement);
                    if (query.Watch)
                    {
                        await session.Out.WriteAsync(text);
                        await Watch(session, target, query, answer.RootElement, table, stop);
                        return 0;
                    }
                }
                catch (ApiException e) when (e.IsNotFound && (target.Name is not null || kinds > 1))
                {
                    await session.Errors.WriteLineAsync($"Error from server ({e.Status.Reason}): {e.Message}");
                    code = 1;
                }
            }
            if (text.Length == 0) continue;
            if (found) await session.Out.WriteLineAsync();
            await session.Out.WriteAsync(text);
            found = true;
        }
        if (!found && code == 0)
        {
            var where = query.AllNamespaces || !targets.Any(x => x.Kind.Namespaced) ? "No resources found" : $"No resources found in {session.Namespace} namespace.";
            await session.Errors.WriteLineAsync(where);
        }
        return code;
    }

    private static async Task<int> Objects(Session session, IReadOnlyList<Target> targets, Query query, CancellationToken stop)
    {
        var code = 0;
        var objects = new List<Stored>();
        foreach (var target in targets)
        {
            try
            {
                if (target.Name is { } name) objects.Add(await session.Api.Get(session.Key(target.Kind, name), stop: stop));
                else objects.AddRange((await session.Api.List(Request(session, target, query), stop)).Items);
            }
            catch (ApiException e) when (e.IsNotFound && target.Name is not null)
            {
                await session.Errors.WriteLineAsync($"Error from server ({e.Status.Reason}): {e.Message}");
                code = 1;
            }
        }
        if (query.Form == "name") foreach (var x in objects) await session.Out.WriteLineAsync(KindNames.Of(x.Key.Kind, x.Key.Name));
        else if (targets is [{ Name: not null }]) foreach (var x in objects) await session.Out.WriteAsync(Output.Write(query.Form, Output.Shown(x)));
        else await session.Out.WriteAsync(Output.Write(query.Form, Output.List(objects)));
        if (query.Watch) await Changes(session, targets[0], query, objects, stop);
        return code;
    }

    /// <summary>Each change as a row (tables are made by the server in a watch too).</summary>
    private static async Task Watch(Session session, Target target, Query query, JsonElement listed, TableText table, CancellationToken stop)
    {
        var revision = listed.TryGetProperty("metadata", out var metadata) && metadata.TryGetProperty("resourceVersion", out var text) ? text.GetString()! : "";
        var url = RequestUrl.Collection(target.Kind, query.AllNamespaces ? null : session.Namespace)
            .With("watch", true).With("resourceVersion", revision).With("labelSelector", query.Labels)
            .With("fieldSelector", target.Name is { } name ? $"metadata.name={name}" : query.Fields);
        await using var stream = await session.Api.Open(url, TableText.Accept, stop);
        using var reader = new StreamReader(stream);
        while (await reader.ReadLineAsync(stop) is { } line)
        {
            using var change = JsonDocument.Parse(line);
            var body = change.RootElement.GetProperty("object");
            if (change.RootElement.GetProperty("type").GetString() == "ERROR") throw new ApiException(Status.Read(500, System.Text.Encoding.UTF8.GetBytes(body.GetRawText())));
            if (body.TryGetProperty("rows", out _)) await session.Out.WriteAsync(table.Print(body));
        }
    }

    private static async Task Changes(Session session, Target target, Query query, List<Stored> listed, CancellationToken stop)
    {
        var fields = target.Name is { } name ? FieldSelector.Of("metadata.name", name) : FieldSelector.Parse(query.Fields);
        var request = new WatchRequest(target.Kind, query.AllNamespaces ? null : session.Namespace) { Labels = LabelSelector.Parse(query.Labels), Fields = fields, From = listed.Count == 0 ? null : listed.Max(x => x.Revision) };
        await foreach (var change in session.Api.Watch(request, stop))
        {
            if (change.Object is not { } x) continue;
            if (query.Form == "name") await session.Out.WriteLineAsync(KindNames.Of(x.Key.Kind, x.Key.Name));
            else await session.Out.WriteAsync((query.Form == "yaml" ? "---\n" : "") + Output.Write(query.Form, Output.Shown(x)));
        }
    }

    private static ListRequest Request(Session session, Target target, Query query) =>
        new(target.Kind, query.AllNamespaces ? null : session.Namespace) { Labels = LabelSelector.Parse(query.Labels), Fields = FieldSelector.Parse(query.Fields) };

    private static RequestUrl Url(Session session, Target target, Query query) => target.Name is { } name
        ? RequestUrl.Object(session.Key(target.Kind, name), "")
        : RequestUrl.Collection(target.Kind, query.AllNamespaces ? null : session.Namespace).With("labelSelector", query.Labels).With("fieldSelector", query.Fields);

    private static async Task<JsonDocument> Table(Session session, RequestUrl url, CancellationToken stop)
    {
        await using var body = await session.Api.Open(url, TableText.Accept, stop);
        return await JsonDocument.ParseAsync(body, cancellationToken: stop);
    }
}
