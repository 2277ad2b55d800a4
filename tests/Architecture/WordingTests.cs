using System.Net;
using System.Text.RegularExpressions;
using Xunit;

namespace Declarative.Tests.Architecture;

/// <summary>The text speaks of the product, not of the machine it was written on nor of who wrote it.</summary>
public sealed class WordingTests
{
    /// <summary>Public sites that the text may name: the sources of its rules. Every other host with a dot must be an address, or a name kept for examples (RFC 2606).</summary>
    private static readonly string[] Sites = ["dot.net", "etcd.io", "github.com", "grpc.io", "kubernetes.default.svc.cluster.local", "kubernetes.io", "mesos.apache.org", "www.apache.org", "www.rfc-editor.org", "www.sqlite.org"];

    private static readonly Regex HomePath = new(@"(?<![\w.}/-])/(?:work|root|home|Users)/\w", RegexOptions.Compiled);
    private static readonly Regex Host = new(@"\bhttps?://(?:[^\s/@""'`]*@)?([\w-]+(?:\.[\w-]+)+)", RegexOptions.Compiled);
    private static readonly Regex Author = new(
        @"\b(?:language model|chatbots?|AI[- ](?:assistants?|agents?|generated)|sub-?agents?|workplace|(?:this|last|previous|next|earlier|later|another|parallel|my) session|(?:other|parallel) sessions|(?:an?|the|my|our|other|another|by|from) helpers?)\b",
        RegexOptions.Compiled | RegexOptions.IgnoreCase);

    private static IEnumerable<SourceFile> Texts => Repository.Files.Where(x => !x.IsUnder(["tests/Architecture"]));

    [Fact]
    public void No_path_of_somebodys_machine() => Rule.Holds(Texts.SelectMany(x => Finds(x, HomePath)));

    [Fact]
    public void No_host_of_somebodys_network() => Rule.Holds(Texts.SelectMany(PrivateHosts));

    [Fact]
    public void No_word_of_who_wrote_it() => Rule.Holds(Texts.SelectMany(x => Finds(x, Author)));

    [Fact]
    public void No_source_of_packages_is_set() =>
        Rule.Holds(Repository.Files.Where(x => Path.GetFileName(x.Path).Equals("nuget.config", StringComparison.OrdinalIgnoreCase) || x.Text.Contains("RestoreSources>", StringComparison.Ordinal) && !x.IsCSharp).Select(x => x.Path));

    [Fact]
    public void Each_of_these_is_found()
    {
        Assert.Equal(["a:1: /home/m"], Finds(new("a", "see /home/me and $x/work/y, ./root/z, a/home/b"), HomePath));
        Assert.Equal(["a:2: packages.corp.lan"], PrivateHosts(new("a", "http://127.0.0.1:80 https://a.example/x https://dot.net\nhttps://user:word@packages.corp.lan/x http://host/y")));
        Assert.Equal(["a:1: The helper", "a:1: another session"], Finds(new("a", "The helper of another session; a process session, obsession, name: helper"), Author));
    }

    private static IEnumerable<string> Finds(SourceFile file, Regex pattern) => pattern.Matches(file.Text).Select(x => $"{file.At(x.Index)}: {x.Value}");

    private static IEnumerable<string> PrivateHosts(SourceFile file) =>
        from found in Host.Matches(file.Text)
        let host = found.Groups[1].Value
        where !Sites.Contains(host) && !IPAddress.TryParse(host, out _) && !Regex.IsMatch(host, @"(^|\.)example(\.(com|org|net))?$")
        select $"{file.At(found.Index)}: {host}";
}
