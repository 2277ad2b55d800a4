using Declarative.Api;

namespace Declarative.Sim;

/// <summary>A way to a running API server, as one user, until that server dies.</summary>
/// <param name="Died">Completes when the server's process is gone.</param>
/// <param name="Stop">Cancelled at the same moment.</param>
internal readonly record struct Connection(IApi Api, Task Died, CancellationToken Stop);
