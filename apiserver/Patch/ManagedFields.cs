using System.Globalization;
using System.Text.Json;
using Declarative.Api.Schema;

namespace Declarative.ApiServer.Patch;

/// <summary>Who writes: one owner of fields.</summary>
/// <param name="Manager">The query parameter fieldManager, or what the server makes of the User-Agent.</param>
/// <param name="ApiVersion">The version the request was written in.</param>
/// <param name="Subresource">"" or for example "status".</param>
internal sealed record FieldWriter(string Manager, string ApiVersion, string Subresource = "");

/// <summary>An entry of <c>metadata.managedFields</c>.</summary>
internal sealed class ManagedFieldsEntry(FieldWriter writer, bool applies, string time, FieldSet fields)
{
    public FieldWriter Writer { get; } = writer;

    /// <summary>By server-side apply, else by any other write.</summary>
    public bool Applies { get; } = applies;

    public string Time { get; set; } = time;

    public FieldSet Fields { get; set; } = fields;
}

/// <summary><c>metadata.managedFields</c> of one object.</summary>
internal sealed class ManagedFields
{
    /// <summary>Writers that do not apply; of more, the oldest become one (as in Kubernetes).</summary>
    private const int UpdatersMax = 10;
    private const string Ancient = "ancient-changes";

    public List<ManagedFieldsEntry> Entries { get; private set; } = [];

    /// <summary>Takes the member out of the object and reads it. Entries that are none are left out: clients can write there what they like.</summary>
    public static ManagedFields Take(JsonTree root)
    {
        var managed = new ManagedFields();
        if (root["metadata"]?.Members is not { } metadata || !metadata.TryGetValue("managedFields", out var list))
        {
            return managed;
        }

        metadata.Remove("managedFields");
        foreach (var item in list.Items ?? [])
        {
            var operation = Text(item, "operation");
            if (operation is "Apply" or "Update")
            {
                var writer = new FieldWriter(Text(item, "manager"), Text(item, "apiVersion"), Text(item, "subresource"));
                managed.Entries.Add(new ManagedFieldsEntry(writer, operation == "Apply", Text(item, "time"), FieldSet.Read(item["fieldsV1"])));
            }
        }

        return managed;
    }

    /// <summary>The entry of a writer, made where it is missing. Versions of one applier are one entry.</summary>
    public ManagedFieldsEntry Of(FieldWriter writer, bool applies)
    {
        var found = Entries.Find(entry => entry.Applies == applies && entry.Writer.Manager == writer.Manager && entry.Writer.Subresource == writer.Subresource
            && (applies || entry.Writer.ApiVersion == writer.ApiVersion));
        if (found is null || found.Writer.ApiVersion != writer.ApiVersion)
        {
            var made = new ManagedFieldsEntry(writer, applies, found?.Time ?? "", found?.Fields ?? new FieldSet());
            Entries.Remove(found!);
            Entries.Add(made);
            found = made;
        }

        return found;
    }

    public static string Stamp(DateTimeOffset now) => now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Writes the entries back into the object: appliers first, then by time and name; entries that own nothing are dropped.</summary>
    public void Put(JsonTree root)
    {
        Entries.RemoveAll(entry => entry.Fields.IsEmpty);
        Cap();
        if (Entries.Count == 0)
        {
            return;
        }

        if (root["metadata"] is not { Members: not null } metadata)
        {
            metadata = JsonTree.Object();
            root.Members!["metadata"] = metadata;
        }

        var list = JsonTree.List();
        foreach (var entry in Sorted())
        {
            list.Items!.Add(Write(entry));
        }

        metadata.Members!["managedFields"] = list;
    }

    private static JsonTree Write(ManagedFieldsEntry entry)
    {
        using var output = new JsonBuffer();
        output.Raw("{\"manager\":"u8);
        output.String(entry.Writer.Manager);
        output.Raw(entry.Applies ? ",\"operation\":\"Apply\",\"apiVersion\":"u8 : ",\"operation\":\"Update\",\"apiVersion\":"u8);
        output.String(entry.Writer.ApiVersion);
        if (entry.Time.Length > 0)
        {
            output.Raw(",\"time\":"u8);
            output.String(entry.Time);
        }

        output.Raw(",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":"u8);
        entry.Fields.Write(output);
        if (entry.Writer.Subresource.Length > 0)
        {
            output.Raw(",\"subresource\":"u8);
            output.String(entry.Writer.Subresource);
        }

        output.Raw((byte)'}');
        return JsonTree.Verbatim(output.ToArray());
    }

    private IEnumerable<ManagedFieldsEntry> Sorted() => Entries
        .OrderBy(entry => entry.Applies ? 0 : 1)
        .ThenBy(entry => entry.Time, StringComparer.Ordinal)
        .ThenBy(entry => entry.Writer.Manager, StringComparer.Ordinal)
        .ThenBy(entry => entry.Writer.ApiVersion, StringComparer.Ordinal)
        .ThenBy(entry => entry.Writer.Subresource, StringComparer.Ordinal);

    private void Cap()
    {
        var updaters = Sorted().Where(entry => !entry.Applies && entry.Writer.Subresource.Length == 0).ToList();
        if (updaters.Count <= UpdatersMax)
        {
            return;
        }

        var oldest = updaters.Take(updaters.Count - UpdatersMax + 1).ToList();
        var all = oldest.Aggregate(new FieldSet(), (set, entry) => set.Union(entry.Fields));
        Entries = [.. Entries.Except(oldest), new ManagedFieldsEntry(new FieldWriter(Ancient, oldest[^1].Writer.ApiVersion), false, oldest[^1].Time, all)];
    }

    private static string Text(JsonTree item, string name) => item[name] is { Kind: JsonValueKind.String } text ? text.Text() : "";
}
