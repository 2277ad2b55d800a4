using Declarative.Api.Objects;

namespace Declarative.Client.Informers;

/// <summary>One change of an informer's view: <paramref name="Old"/> is null for a new object, <paramref name="New"/> for one that is gone.</summary>
/// <param name="Revision">The revision of the change; after a relist that of the object, or of the list where the object is gone.</param>
public readonly record struct Change<T>(T? Old, T? New, long Revision) where T : ApiObject
{
    /// <summary>The newest state that is known: <see cref="New"/>, or the last one of an object that is gone.</summary>
    public T Object => New ?? Old!;
}
