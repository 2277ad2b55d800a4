using Declarative.Api;

namespace Declarative.ApiServer.Http;

/// <summary>A known user and the API bound to it; kept per connection and per token, so that a request makes neither.</summary>
internal sealed record Caller(User User, IApi Api);
