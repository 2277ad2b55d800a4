using Declarative.Api.Kinds;

namespace Declarative.Controllers.Endpoints;

/// <summary>
/// Endpoints with the same ports packed into slices of at most <see cref="EndpointsMax"/>. Stable: an endpoint stays in the slice where it is, new ones fill
/// the gaps of slices in the order of their names, and only what is left over makes new slices.
/// </summary>
internal static class SliceSet
{
    public const int EndpointsMax = 100;

    /// <param name="wanted">By pod uid, in the order in which new ones are placed.</param>
    /// <param name="existing">Slices with these ports, in the order of their names.</param>
    public static IReadOnlyList<WantedSlice> Pack(IReadOnlyList<Endpoint> wanted, IReadOnlyList<EndpointSlice> existing)
    {
        var byPod = wanted.ToDictionary(x => x.TargetRef!.Uid);
        var slices = new List<WantedSlice>();
        foreach (var slice in existing)
        {
            var kept = new List<Endpoint>();
            foreach (var endpoint in slice.Endpoints)
            {
                // Removed from what is left to place: a pod stands in one slice only, even where two name it.
                if (endpoint.TargetRef is { } pod && kept.Count < EndpointsMax && byPod.Remove(pod.Uid, out var now)) kept.Add(now);
            }
            slices.Add(new(slice, kept));
        }
        var rest = new Queue<Endpoint>(wanted.Where(x => byPod.ContainsKey(x.TargetRef!.Uid)));
        foreach (var slice in slices)
        {
            while (rest.Count > 0 && slice.Endpoints.Count < EndpointsMax) slice.Endpoints.Add(rest.Dequeue());
        }
        while (rest.Count > 0)
        {
            var slice = new WantedSlice(null, []);
            while (rest.Count > 0 && slice.Endpoints.Count < EndpointsMax) slice.Endpoints.Add(rest.Dequeue());
            slices.Add(slice);
        }
        return slices;
    }
}

/// <param name="Existing">null = to be made. A slice left without endpoints is to be deleted.</param>
internal sealed record WantedSlice(EndpointSlice? Existing, List<Endpoint> Endpoints);
