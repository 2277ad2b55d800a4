using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Declarative.Bench.Lb;

/// <summary>A proxy in a process of its own before the same backends, with a port for each of HTTP, TCP, TLS (HTTP/1.1 and HTTP/2) and websockets.</summary>
internal sealed class Target(string name, Child process, int http, int tcp, int tls, int sockets) : IDisposable
{
    private const string NginxStream = "/usr/lib/nginx/modules/ngx_stream_module.so";

    public string Name => name;
    public int Http => http;

    /// <summary>0 = it has none: nginx without libnginx-mod-stream.</summary>
    public int Tcp => tcp;
    public int Tls => tls;
    public int Sockets => sockets;
    public TimeSpan Cpu => process.Cpu;
    public long ResidentBytes => process.ResidentBytes;

    /// <summary>The balancer with an API server that keeps everything in memory and has nothing to do.</summary>
    public static Target Declarative(IReadOnlyList<int> http, int sockets)
    {
        var child = Child.Self("serve", string.Join(',', http), $"{sockets}");
        var ports = child.Output.ReadLine()!.Split(' ').Select(x => int.Parse(x, CultureInfo.InvariantCulture)).ToArray();
        return new("declarative", child, ports[0], ports[1], ports[2], ports[3]);
    }

    /// <summary>Debian's, with its threads and connections to servers as it has them by default, and reuse for whomever.</summary>
    public static Target HaProxy(Folder folder, IReadOnlyList<int> http, int sockets)
    {
        int[] ports = [FreePort(), FreePort(), FreePort(), FreePort()];
        var servers = string.Join('\n', http.Select((x, i) => $"    server s{i} 127.0.0.1:{x}"));
        var file = folder.Write("haproxy.cfg", $"""
            global
                maxconn 8000
            defaults
                timeout connect 3s
                timeout client 1h
                timeout server 1h
                timeout tunnel 1h
                http-reuse always
            listen http
                mode http
                option forwardfor
                bind 127.0.0.1:{ports[0]}
            {servers}
            listen tcp
                mode tcp
                bind 127.0.0.1:{ports[1]}
            {servers}
            listen tls
                mode http
                option forwardfor
                bind 127.0.0.1:{ports[2]} ssl crt {folder.Certificate} alpn h2,http/1.1
            {servers}
            listen sockets
                mode http
                bind 127.0.0.1:{ports[3]}
                server s 127.0.0.1:{sockets}

            """);
        return Started("haproxy", Child.Start("haproxy", ["-db", "-f", file]), ports);
    }

    public static Target Nginx(Folder folder, IReadOnlyList<int> http, int sockets)
    {
        int[] ports = [FreePort(), FreePort(), FreePort(), FreePort()];
        var servers = string.Join(' ', http.Select(x => $"server 127.0.0.1:{x};"));
        if (!File.Exists(NginxStream)) ports[1] = 0;
        var stream = ports[1] == 0 ? "" : $$"""stream { upstream all { {{servers}} } server { listen 127.0.0.1:{{ports[1]}} backlog=4096; proxy_pass all; } }""";
        return Started("nginx", Child.Start("nginx", ["-p", folder.Path, "-c", folder.Write("nginx.conf", $$"""
            daemon off;
            worker_processes auto;
            error_log stderr error;
            pid {{folder.Path}}/nginx.pid;
            {{(ports[1] == 0 ? "" : $"load_module {NginxStream};")}}
            events { worker_connections 8000; }
            http {
                {{folder.NginxPaths("front")}}
                access_log off;
                keepalive_requests 1000000000;
                upstream all { {{servers}} keepalive 256; keepalive_requests 1000000000; }
                server {
                    listen 127.0.0.1:{{ports[0]}} backlog=4096;
                    listen 127.0.0.1:{{ports[2]}} ssl http2 backlog=4096;
                    ssl_certificate {{folder.Certificate}};
                    ssl_certificate_key {{folder.Certificate}};
                    location / { proxy_pass http://all; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr; }
                }
                server {
                    listen 127.0.0.1:{{ports[3]}} backlog=4096;
                    location / { proxy_pass http://127.0.0.1:{{sockets}}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1h; }
                }
            }
            {{stream}}
            """)]), ports);
    }

    public void Dispose() => process.Dispose();

    internal static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }

    internal static void WaitFor(int port, Child child, string name)
    {
        while (!Connects(port))
        {
            if (child.HasExited) throw new InvalidOperationException($"{name} does not run; what it says stands above");
            Thread.Sleep(10);
        }
    }

    private static Target Started(string name, Child child, int[] ports)
    {
        WaitFor(ports[^1], child, name);
        return new(name, child, ports[0], ports[1], ports[2], ports[3]);
    }

    private static bool Connects(int port)
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            probe.Connect(IPAddress.Loopback, port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}

/// <summary>Files of one run.</summary>
internal sealed class Folder : IDisposable
{
    public Folder()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest("CN=bench", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        Certificate = Write("certificate.pem", certificate.ExportCertificatePem() + "\n" + key.ExportPkcs8PrivateKeyPem() + "\n");
        File.WriteAllBytes(System.IO.Path.Combine(Path, "1mb"), new byte[1_000_000]);
    }

    public string Path { get; } = Directory.CreateTempSubdirectory("bench-lb-").FullName;

    /// <summary>Self-signed, of a key on P-256; certificate and key in one file.</summary>
    public string Certificate { get; }

    /// <summary>One nginx worker: 13 bytes at every path but <c>/1mb</c>.</summary>
    public Child Backend(int port)
    {
        var child = Child.Start("nginx", ["-p", Path, "-c", Write($"backend-{port}.conf", $$"""
            daemon off;
            worker_processes 1;
            error_log stderr error;
            pid {{Path}}/backend-{{port}}.pid;
            events { worker_connections 8000; }
            http {
                {{NginxPaths($"backend-{port}")}}
                access_log off;
                sendfile on;
                tcp_nopush on;
                keepalive_requests 1000000000;
                keepalive_timeout 1h;
                server {
                    listen 127.0.0.1:{{port}} backlog=4096;
                    location / { default_type text/plain; return 200 "Hello, world!"; }
                    location = /1mb { root {{Path}}; }
                }
            }
            """)]);
        Target.WaitFor(port, child, "nginx");
        return child;
    }

    public string NginxPaths(string name) => string.Concat(new[] { "client_body", "proxy", "fastcgi", "uwsgi", "scgi" }.Select(x => $"{x}_temp_path {Path}/{name}-{x};"));

    public string Write(string name, string text)
    {
        var file = System.IO.Path.Combine(Path, name);
        File.WriteAllText(file, text);
        // nginx started by root serves as another user.
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(Path, (UnixFileMode)0b111_101_101);
        return file;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
