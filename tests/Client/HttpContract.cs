using Declarative.Api;
using Declarative.Client.Http;
using Declarative.Tests.ApiServer;
using Declarative.Tests.ApiServer.Http;

namespace Declarative.Tests.Client;

/// <summary>The contract of the API through HTTPS, with the kubeconfig that the server wrote.</summary>
public sealed class HttpContract : ApiContract
{
    private RunningFace _face = null!;
    private HttpApi _api = null!;

    protected override async Task<IApi> Start()
    {
        _face = await RunningFace.Start();
        return _api = new HttpApi(Kubeconfig.Load(_face.Face.KubeconfigPath), TimeProvider.System);
    }

    protected override async ValueTask End()
    {
        _api.Dispose();
        await _face.DisposeAsync();
    }
}
