namespace Declarative.Tests.EndToEnd;

/// <summary>
/// A Deployment and its Service whose pods end the moment TERM comes: the shell kills its web server, so a request that is in flight then is cut, and the
/// order of both is in its output.
/// </summary>
internal static class AbruptWeb
{
    public const string Term = "TERM has come";

    public static string Manifest(string name, int port, int replicas = 1, string cpu = "50m") => $$"""
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{name}} }
        spec:
          replicas: {{replicas}}
          selector: {matchLabels: {app: {{name}} } }
          template:
            metadata: {labels: {app: {{name}} } }
            spec:
              containers:
                - name: web
                  command: [sh, -c, "trap 'echo {{Term}}; kill -9 $child' TERM; declarative sample-web & child=$!; wait $child; wait $child"]
                  ports: [{name: http, containerPort: 8080}]
                  env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name} } }]
                  readinessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 1}
                  resources: {requests: {cpu: "{{cpu}}", memory: 64Mi} }
        ---
        apiVersion: v1
        kind: Service
        metadata: {name: {{name}} }
        spec:
          type: LoadBalancer
          selector: {app: {{name}} }
          ports: [{name: http, port: {{port}}, targetPort: http}]
        """;

    /// <summary>What the task of the pod has written; asked for while it runs, the path stays good afterwards.</summary>
    public static string Output(RunningPlatform platform, string podUid) => Path.Combine(TaskProcess.Under(platform.Data).First(x => x.PodUid == podUid).Sandbox, "stdout");
}
