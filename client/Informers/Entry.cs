using Declarative.Api;
using Declarative.Api.Objects;

namespace Declarative.Client.Informers;

/// <summary>One object of an informer's view.</summary>
/// <param name="Json">The stored bytes, kept only where <see cref="Informer{T}.KeepJson"/> asks for them, else empty.</param>
public sealed record Entry<T>(ResourceKey Key, string Uid, long Revision, T Object, ReadOnlyMemory<byte> Json) where T : ApiObject;
