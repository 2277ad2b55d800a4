using System.Text;
using Microsoft.AspNetCore.Http;

namespace Declarative.Lb.Proxy;

/// <summary>The balancer's own answers.</summary>
internal static class Answers
{
    public static Task Text(HttpContext context, int status, string text, string type = "text/plain; charset=utf-8")
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = type;
        if (HttpMethods.IsHead(context.Request.Method)) return Task.CompletedTask;
        var bytes = Encoding.UTF8.GetBytes(text);
        context.Response.ContentLength = bytes.Length;
        return context.Response.Body.WriteAsync(bytes).AsTask();
    }
}
