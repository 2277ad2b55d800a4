using Declarative.Api;
using Declarative.ApiServer;
using Declarative.ApiServer.Storage;
using Declarative.Sim;

namespace Declarative.Tests.ApiServer;

/// <summary>An API server in this process, with its loops running until it is disposed.</summary>
public sealed class InProcessApi : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly IJournal _journal;
    private Task _running = Task.CompletedTask;

    private InProcessApi(IJournal journal) => _journal = journal;

    public Declarative.ApiServer.ApiServer Server { get; private set; } = null!;

    public IApi Admin => Server.As(User.Admin);

    public static async Task<InProcessApi> Start(IJournal? journal = null, ApiServerOptions? options = null, TimeProvider? time = null, int seed = 1)
    {
        var api = new InProcessApi(journal ?? new MemoryJournal());
        api.Server = await Declarative.ApiServer.ApiServer.Open(api._journal, options ?? new(), time ?? TimeProvider.System, new Random(seed), CancellationToken.None);
        api._running = api.Server.Run(api._stop.Token);
        await api.Server.Bootstrap(CancellationToken.None);
        return api;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        await _journal.DisposeAsync();
        _stop.Dispose();
    }
}

public sealed class InProcessContract : ApiContract
{
    private InProcessApi _api = null!;

    protected override async Task<IApi> Start()
    {
        _api = await InProcessApi.Start();
        return _api.Admin;
    }

    protected override ValueTask End() => _api.DisposeAsync();
}
