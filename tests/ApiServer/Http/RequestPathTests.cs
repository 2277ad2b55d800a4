using Declarative.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.ApiServer.Http;

public sealed class RequestPathTests
{
    [Theory]
    [InlineData("/api/v1/pods", "pods -")]
    [InlineData("/api/v1/namespaces", "namespaces -")]
    [InlineData("/api/v1/namespaces/x", "namespaces - x")]
    [InlineData("/api/v1/namespaces/x/status", "namespaces - x status")]
    [InlineData("/api/v1/namespaces/x/finalize", "namespaces - x finalize")]
    [InlineData("/api/v1/namespaces/x/pods", "pods x")]
    [InlineData("/api/v1/namespaces/x/pods/", "pods x")]
    [InlineData("/api/v1/namespaces/x/pods/web-1", "pods x web-1")]
    [InlineData("/api/v1/namespaces/x/pods/web-1/log", "pods x web-1 log")]
    [InlineData("/api/v1/namespaces/x/services/web/proxy/a/b", "services x web proxy a/b")]
    [InlineData("/apis/apps/v1/deployments", "deployments -")]
    [InlineData("/apis/apps/v1/namespaces/x/deployments/web/scale", "deployments x web scale")]
    [InlineData("/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Adns", "clusterroles - system:dns")]
    public void Words_of_a_path(string path, string words)
    {
        Assert.True(RequestPath.TryParse(path, out var result));
        Assert.Equal(words, $"{result.Kind.Plural} {result.Namespace ?? "-"} {result.Name} {result.Subresource} {result.Rest}".TrimEnd());
    }

    [Theory]
    [InlineData("GET", "/api/v1/watch/pods", "watch pods -")]
    [InlineData("GET", "/api/v1/watch/namespaces/x/pods/web", "watch pods x web")]
    [InlineData("GET", "/apis/apps/v1/watch/deployments", "watch deployments -")]
    [InlineData("GET", "/api/v1/watch/namespaces/x", "watch namespaces - x")]
    [InlineData("POST", "/api/v1/watch/namespaces", "other namespaces -")]
    public void The_old_way_to_ask_for_a_watch(string method, string path, string words)
    {
        Assert.True(RequestPath.TryParse(path, out var result));
        Assert.Equal(words, $"{Exchange.VerbOf(method, result, RequestQuery.Empty)} {result.Kind.Plural} {result.Namespace ?? "-"} {result.Name}".TrimEnd());
    }

    [Theory]
    [InlineData("/api/v1/watch")]
    [InlineData("/api/v1/watch/namespaces/x/pods/web/log")]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/api")]
    [InlineData("/api/")]
    [InlineData("/api/v1")]
    [InlineData("/api/v1/")]
    [InlineData("/api/v2/pods")]
    [InlineData("/api/v1//pods")]
    [InlineData("/api/v1/namespaces//pods")]
    [InlineData("/api/v1/namespaces/x/nodes")]
    [InlineData("/api/v1/namespaces/x/teapots")]
    [InlineData("/apis/apps/v1")]
    [InlineData("/apis/apps/v1/pods")]
    [InlineData("/apis/apps")]
    [InlineData("/openapi/v3")]
    public void What_names_no_resource(string path) => Assert.False(RequestPath.TryParse(path, out _));

    [Theory]
    [InlineData("application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "Table v1 Json")]
    [InlineData("application/json;as=Table;g=meta.k8s.io;v=v1beta1", "Table v1beta1 Json")]
    [InlineData("application/vnd.kubernetes.protobuf,application/json", "Object v1 Json")]
    [InlineData("application/vnd.kubernetes.protobuf", "Object v1 Protobuf")]
    [InlineData("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", "PartialMetadata v1 Json")]
    [InlineData("application/json;as=Picture;v=v1;g=meta.k8s.io, application/json", "Object v1 Json")]
    [InlineData("text/html, */*;q=0.1", "Object v1 Json")]
    [InlineData("application/yaml", "Object v1 Yaml")]
    [InlineData("", "Object v1 Json")]
    public void Forms_of_an_answer(string header, string form)
    {
        var accept = Accept.Parse(header);
        Assert.Equal(form, $"{accept.Shape} {accept.Version} {accept.Form}");
    }

    [Theory]
    [InlineData("text/html")]
    [InlineData("application/json;as=Table;v=v9;g=meta.k8s.io")]
    public void What_can_not_be_served(string header) => Assert.Equal(406, Assert.Throws<Declarative.Api.ApiException>(() => Accept.Parse(header)).Code);

    [Fact]
    public void Parameters_are_decoded()
    {
        var query = RequestQuery.Parse("a=1&b&c=x%3Dy+z&dryRun=All&empty=");
        Assert.Equal("1", query.Text("a"));
        Assert.True(query.Flag("b"));
        Assert.False(query.Flag("none"));
        Assert.Equal("x=y z", query.Text("c"));
        Assert.True(query.Has("empty"));
        Assert.Null(query.Number("empty"));
        Assert.Equal(1, query.Number("a"));
        Assert.Equal(400, Assert.Throws<Declarative.Api.ApiException>(() => query.Number("c")).Code);
    }
}
