using System.Text;
using Declarative.Api;
using Declarative.Api.Kinds;
using Declarative.Tests.ApiServer.Http;
using Xunit;

namespace Declarative.Tests.Cli;

/// <summary>One server for the tests of a class; each test has namespaces of its own.</summary>
public sealed class VerbWorld : IAsyncLifetime
{
    private int _namespaces;

    internal RunningFace Server { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Server = await RunningFace.Start();

    public ValueTask DisposeAsync() => Server.DisposeAsync();

    internal async Task<VerbRunner> InNamespace(string name)
    {
        var ns = $"{name}-{Interlocked.Increment(ref _namespaces)}";
        await Server.Admin.Create(ResourceKey.Of(Kind.Namespace, "", ns), Encoding.UTF8.GetBytes($$$"""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"{{{ns}}}"}}"""));
        return new(Server, ns);
    }
}
