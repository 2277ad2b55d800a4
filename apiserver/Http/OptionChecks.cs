using System.Globalization;
using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.ApiServer.Http;

/// <summary>
/// What the parameters of a request may say together (Kubernetes: apimachinery, meta/internalversion/validation and meta/v1/validation). What is no
/// number or no known value at all is refused where it is read.
/// </summary>
internal static class OptionChecks
{
    public const int FieldManagerCharsMax = 128;
    private const string Exact = "Exact";
    private const string NotOlderThan = "NotOlderThan";

    /// <summary>Throws 422 for what a list can not be asked, 400 for a page of another moment.</summary>
    public static void List(RequestQuery query)
    {
        var causes = new List<StatusCause>();
        var (match, version, next) = (query.Text("resourceVersionMatch"), query.Text("resourceVersion"), query.Text("continue"));
        if (match.Length > 0)
        {
            if (version.Length == 0) causes.Add(Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided"));
            if (next.Length > 0) causes.Add(Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"));
            if (match is not (Exact or NotOlderThan)) causes.Add(NotSupported("resourceVersionMatch", match, Exact, NotOlderThan, ""));
            if (match == Exact && version == "0") causes.Add(Forbidden("resourceVersionMatch", "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
        if (query.Has("sendInitialEvents")) causes.Add(Forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        Refuse("ListOptions", causes);
        if (next.Length > 0 && version is not ("" or "0")) throw Status.BadRequest("specifying resource version is not allowed when using continue");
    }

    /// <summary>Throws 422.</summary>
    public static void Watch(RequestQuery query)
    {
        var causes = new List<StatusCause>();
        var (match, initial) = (query.Text("resourceVersionMatch"), query.Has("sendInitialEvents"));
        if (initial && match != NotOlderThan) causes.Add(Forbidden("resourceVersionMatch", $"sendInitialEvents requires setting resourceVersionMatch to {NotOlderThan}"));
        if (match.Length > 0)
        {
            if (!initial) causes.Add(Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
            if (match != NotOlderThan) causes.Add(NotSupported("resourceVersionMatch", match, NotOlderThan));
            if (query.Text("continue").Length > 0) causes.Add(Forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"));
        }
        Refuse("ListOptions", causes);
    }

    /// <summary>Throws 422 for a write with odd options.</summary>
    /// <param name="options">CreateOptions, UpdateOptions or PatchOptions.</param>
    public static void Write(string options, RequestQuery query, bool isApply)
    {
        var causes = new List<StatusCause>();
        var manager = query.Text("fieldManager");
        if (options == "PatchOptions" && !isApply && query.Has("force")) causes.Add(Forbidden("force", "may not be specified for non-apply patch"));
        if (isApply && manager.Length == 0) causes.Add(new("FieldValueRequired", "Required value: is required for apply patch", "fieldManager"));
        if (manager.Length > FieldManagerCharsMax) causes.Add(new("FieldValueTooLong", $"Too long: may not be more than {FieldManagerCharsMax} bytes", "fieldManager"));
        for (var i = 0; i < manager.Length; i++)
        {
            if (IsPrintable(manager, i)) continue;
            causes.Add(new("FieldValueInvalid", $"Invalid value: {Quoted(manager)}: invalid character U+{(int)manager[i]:X4} (at position {i.ToString(CultureInfo.InvariantCulture)})", "fieldManager"));
            break;
        }
        DryRun(query.All("dryRun"), causes);
        var validation = query.Text("fieldValidation");
        if (validation is not ("" or "Ignore" or "Strict" or "Warn")) causes.Add(NotSupported("fieldValidation", validation, "Ignore", "Strict", "Warn"));
        Refuse(options, causes);
    }

    /// <summary>Throws 422.</summary>
    /// <param name="orphans">orphanDependents, null where it is absent.</param>
    public static void Delete(string propagation, bool? orphans, IEnumerable<string> dryRun)
    {
        var causes = new List<StatusCause>();
        if (propagation.Length > 0 && orphans is not null) causes.Add(new("FieldValueInvalid", $"Invalid value: {Quoted(propagation)}: orphanDependents and deletionPropagation cannot be both set", "propagationPolicy"));
        if (propagation is not ("" or "Foreground" or "Background" or "Orphan")) causes.Add(NotSupported("propagationPolicy", propagation, "Foreground", "Background", "Orphan", "nil"));
        DryRun(dryRun, causes);
        Refuse("DeleteOptions", causes);
    }

    /// <summary>What a request calls itself where it names no manager: the first word of its User-Agent, without what can not be shown.</summary>
    public static string ManagerOf(string agent)
    {
        var end = agent.IndexOf('/', StringComparison.Ordinal);
        var word = end < 0 ? agent : agent[..end];
        return string.Concat(word.Where((_, i) => IsPrintable(word, i)).Take(FieldManagerCharsMax));
    }

    private static void DryRun(IEnumerable<string> values, List<StatusCause> causes)
    {
        List<string> all = [.. values];
        if (all.Any(x => x != "All")) causes.Add(new("FieldValueNotSupported", $"Unsupported value: [{string.Join(",", all.Select(Quoted))}]: supported values: \"All\"", "dryRun"));
    }

    private static bool IsPrintable(string text, int at) => CharUnicodeInfo.GetUnicodeCategory(text, at) is not (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator
        or UnicodeCategory.ParagraphSeparator or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned) && (text[at] == ' ' || !char.IsSeparator(text[at]));

    private static StatusCause Forbidden(string field, string why) => new("FieldValueForbidden", $"Forbidden: {why}", field);

    private static StatusCause NotSupported(string field, string value, params string[] supported) =>
        new("FieldValueNotSupported", $"Unsupported value: {Quoted(value)}: supported values: {string.Join(", ", supported.Select(Quoted))}", field);

    private static string Quoted(string text) => CustomResources.StructuralValidation.Shown(text);

    private static void Refuse(string options, List<StatusCause> causes)
    {
        if (causes.Count > 0) throw Status.Invalid("meta.k8s.io", options, "", causes);
    }
}
