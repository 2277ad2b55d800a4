using Xunit;

namespace Declarative.Tests.EndToEnd;

/// <summary>Tests that run the built executable as a user does. One collection: they do not run beside each other, nor beside other tests.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class EndToEndTests
{
    public const string Name = "the built executable";
}
