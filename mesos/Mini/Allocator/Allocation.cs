using Declarative.Mesos.Resources;

namespace Declarative.Mesos.Mini.Allocator;

/// <summary>What becomes one offer: resources of one agent for one framework in one role.</summary>
internal readonly record struct Allocation(Claimant Claimant, Slot Slot, string Role, ResourceBag Resources);
