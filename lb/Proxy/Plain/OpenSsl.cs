using System.Runtime.InteropServices;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// The calls of OpenSSL 3 that TLS on the event loops lives on; the library is the one that .NET's own TLS uses. Names and numbers are those of its
/// headers (ssl.h, bio.h) and do not change within version 3.
/// </summary>
internal static unsafe class OpenSsl
{
    private const string Ssl = "libssl.so.3";
    private const string Crypto = "libcrypto.so.3";

    public const int WantRead = 2; // SSL_ERROR_WANT_READ
    public const int WantWrite = 3; // SSL_ERROR_WANT_WRITE
    public const int ZeroReturn = 6; // SSL_ERROR_ZERO_RETURN

    public const int ControlChainCertificate = 14; // SSL_CTRL_EXTRA_CHAIN_CERT
    public const int ControlMode = 33; // SSL_CTRL_MODE
    public const int ControlReadAhead = 41; // SSL_CTRL_SET_READ_AHEAD
    public const int ControlSessionCache = 44; // SSL_CTRL_SET_SESS_CACHE_MODE
    public const int ControlVersionMin = 123; // SSL_CTRL_SET_MIN_PROTO_VERSION

    public const int Tls12 = 0x303; // TLS1_2_VERSION
    public const int Tls13 = 0x304; // TLS1_3_VERSION

    public const nint PartialWrite = 0x1; // SSL_MODE_ENABLE_PARTIAL_WRITE
    public const nint MovingBuffer = 0x2; // SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    public const nint ReleaseBuffers = 0x10; // SSL_MODE_RELEASE_BUFFERS

    public const ulong IgnoreUnexpectedEnd = 1ul << 7; // SSL_OP_IGNORE_UNEXPECTED_EOF
    public const ulong NoCompression = 1ul << 17; // SSL_OP_NO_COMPRESSION
    public const ulong ServerPreference = 1ul << 22; // SSL_OP_CIPHER_SERVER_PREFERENCE
    public const ulong NoRenegotiation = 1ul << 30; // SSL_OP_NO_RENEGOTIATION

    public const int AlpnChosen = 0; // SSL_TLSEXT_ERR_OK
    public const int AlpnNone = 3; // SSL_TLSEXT_ERR_NOACK

    /// <summary>The library is there.</summary>
    public static bool IsSupported { get; } = OperatingSystem.IsLinux() && NativeLibrary.TryLoad(Crypto, out _) && NativeLibrary.TryLoad(Ssl, out _);

    [DllImport(Ssl)]
    public static extern nint TLS_server_method();

    [DllImport(Ssl)]
    public static extern nint SSL_CTX_new(nint method);

    [DllImport(Ssl)]
    public static extern void SSL_CTX_free(nint context);

    [DllImport(Ssl)]
    public static extern nint SSL_CTX_ctrl(nint context, int command, nint number, void* pointer);

    [DllImport(Ssl)]
    public static extern ulong SSL_CTX_set_options(nint context, ulong options);

    [DllImport(Ssl)]
    public static extern int SSL_CTX_set_cipher_list(nint context, byte* names);

    [DllImport(Ssl)]
    public static extern int SSL_CTX_use_certificate_ASN1(nint context, int length, byte* certificate);

    [DllImport(Ssl)]
    public static extern int SSL_CTX_use_PrivateKey(nint context, nint key);

    [DllImport(Ssl)]
    public static extern int SSL_CTX_check_private_key(nint context);

    [DllImport(Ssl)]
    public static extern void SSL_CTX_set_alpn_select_cb(nint context, delegate* unmanaged<nint, byte**, byte*, byte*, uint, void*, int> choose, void* argument);

    [DllImport(Ssl)]
    public static extern nint SSL_new(nint context);

    [DllImport(Ssl)]
    public static extern void SSL_free(nint session);

    [DllImport(Ssl)]
    public static extern int SSL_set_fd(nint session, int fd);

    [DllImport(Ssl)]
    public static extern void SSL_set_accept_state(nint session);

    [DllImport(Ssl)]
    public static extern int SSL_do_handshake(nint session);

    [DllImport(Ssl)]
    public static extern int SSL_read(nint session, void* to, int count);

    [DllImport(Ssl)]
    public static extern int SSL_write(nint session, void* from, int count);

    [DllImport(Ssl)]
    public static extern int SSL_shutdown(nint session);

    [DllImport(Ssl)]
    public static extern int SSL_get_error(nint session, int result);

    [DllImport(Ssl)]
    public static extern int SSL_version(nint session);

    /// <summary>Takes over both.</summary>
    [DllImport(Ssl)]
    public static extern void SSL_set_bio(nint session, nint from, nint to);

    [DllImport(Crypto)]
    public static extern nint BIO_s_mem();

    [DllImport(Crypto)]
    public static extern nint BIO_new(nint method);

    [DllImport(Crypto)]
    public static extern int BIO_free(nint bio);

    [DllImport(Crypto)]
    public static extern int BIO_write(nint bio, void* from, int count);

    [DllImport(Crypto)]
    public static extern int BIO_read(nint bio, void* to, int count);

    [DllImport(Crypto)]
    public static extern nuint BIO_ctrl_pending(nint bio);

    [DllImport(Crypto)]
    public static extern nint d2i_X509(nint into, byte** from, nint length);

    [DllImport(Crypto)]
    public static extern void X509_free(nint certificate);

    [DllImport(Crypto)]
    public static extern nint d2i_AutoPrivateKey(nint into, byte** from, nint length);

    [DllImport(Crypto)]
    public static extern void EVP_PKEY_free(nint key);

    [DllImport(Crypto)]
    public static extern void ERR_clear_error();
}
