using Declarative.Api;
using Declarative.Mesos.Scheduler;

namespace Declarative.Sim;

/// <summary>
/// One unit of the platform that watches, decides and writes: a controller, Placement, the balancer's routes, the DNS zones. The same
/// list runs in <c>up</c>, in separate processes and in the simulated world.
/// </summary>
/// <param name="User">Whom the API sees.</param>
/// <param name="Run">Returns when stopped; an exception is a bug.</param>
public sealed record Part(string Name, User User, PartRun Run);

/// <param name="master">The Mesos master; only Placement uses it.</param>
public delegate Task PartRun(IApi api, IMaster master, TimeProvider time, Random random, CancellationToken stop);
