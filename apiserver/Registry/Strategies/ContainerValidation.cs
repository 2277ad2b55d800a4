using Declarative.Api.Objects;

namespace Declarative.ApiServer.Registry.Strategies;

/// <summary>What a container may say beside ports, variables and mounts (Kubernetes: validateContainerCommon, validateContainers, validateInitContainers, validateLifecycle, validateProbe).</summary>
internal static class ContainerValidation
{
    private const string SidecarsOnly = "may not be set for init containers without restartPolicy=Always";

    public static void Container(Part container, bool isInit, long grace)
    {
        container.OneOf("imagePullPolicy", "Always", "IfNotPresent", "Never");
        container.OneOf("terminationMessagePolicy", "File", "FallbackToLogsOnError");
        if (isInit) container.OneOf("restartPolicy", "Always");
        else if (container.Has("restartPolicy")) container.Forbidden("restartPolicy", "may not be set for non-init containers");
        if (isInit && container.Text("restartPolicy") != "Always")
        {
            foreach (var name in (ReadOnlySpan<string>)["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"])
            {
                if (container.Has(name)) container.Forbidden(name, SidecarsOnly);
            }
            return;
        }
        foreach (var hook in (ReadOnlySpan<string>)["postStart", "preStop"])
        {
            if (container.Child("lifecycle")?.Child(hook) is { } handler) Hook(handler, grace);
        }
        foreach (var name in (ReadOnlySpan<string>)["livenessProbe", "readinessProbe", "startupProbe"])
        {
            if (container.Child(name) is not { } probe) continue;
            Action(probe);
            if (!probe.Has("terminationGracePeriodSeconds")) continue;
            if (name == "readinessProbe") probe.Invalid("terminationGracePeriodSeconds", "must not be set for readinessProbes");
            else if (probe.Number("terminationGracePeriodSeconds") is <= 0) probe.Invalid("terminationGracePeriodSeconds", "must be greater than 0");
        }
    }

    /// <summary>Holds in pods, not in templates, as in Kubernetes.</summary>
    public static void Image(Part container)
    {
        var image = container.Text("image");
        if (image.Trim().Length != image.Length) container.Invalid("image", "must not have leading or trailing whitespace");
    }

    private static void Hook(Part handler, long grace)
    {
        if (handler.OnlyOne("may not specify more than 1 handler type", "exec", "httpGet", "tcpSocket", "sleep") == 0)
        {
            handler.Causes.Add(Metadata.Required(handler.Path, "must specify a handler type"));
        }
        Action(handler);
        if (handler.Child("sleep") is { } sleep && (sleep.Number("seconds") ?? 0) is var seconds && (seconds < 0 || seconds > grace))
        {
            handler.Causes.Add(Metadata.Invalid(sleep.Path, seconds, $"must be non-negative and less than terminationGracePeriodSeconds ({grace})"));
        }
    }

    /// <summary>What a probe or a hook does; ports' numbers in probes are checked with the probe.</summary>
    private static void Action(Part handler)
    {
        if (handler.Child("exec") is { } exec) exec.Needs("command");
        foreach (var name in (ReadOnlySpan<string>)["httpGet", "tcpSocket"])
        {
            handler.Child(name)?.Form("port", PodValidation.PortNameError);
        }
        if (handler.Child("grpc") is { } grpc && grpc.Number("port") is not (>= 1 and <= 65535)) grpc.Invalid("port", "must be between 1 and 65535, inclusive");
        if (handler.Child("httpGet") is not { } get) return;
        get.OneOf("scheme", "HTTP", "HTTPS");
        foreach (var header in get.Items("httpHeaders"))
        {
            var name = header.Text("name");
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'))
            {
                get.Causes.Add(Metadata.Invalid(get.At("httpHeaders"), name, "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name')"));
            }
        }
    }
}
