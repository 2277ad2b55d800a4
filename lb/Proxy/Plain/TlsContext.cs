using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Declarative.Lb.Tls;

namespace Declarative.Lb.Proxy.Plain;

/// <summary>
/// One certificate as handshakes on the event loops need it: TLS 1.2 and 1.3, HTTP/1.1 by ALPN, sessions resumed by tickets. Tickets are of this certificate
/// alone: with another one their sessions end. Sessions that have begun outlive it.
/// </summary>
internal sealed unsafe class TlsContext : SafeHandle
{
    /// <summary>Of TLS 1.2; forward secrecy in all of them, as .NET's own TLS has it on Linux. Those of TLS 1.3 are OpenSSL's.</summary>
    private static ReadOnlySpan<byte> Ciphers =>
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384\0"u8;

    private static ReadOnlySpan<byte> Http11 => "http/1.1"u8;

    private TlsContext() : base(0, ownsHandle: true)
    {
    }

    public override bool IsInvalid => handle == 0;

    public nint Pointer => handle;

    /// <summary>null where OpenSSL does not take the certificate or .NET does not give its key away.</summary>
    public static TlsContext? Of(TlsCertificate certificate)
    {
        var context = new TlsContext();
        context.SetHandle(OpenSsl.SSL_CTX_new(OpenSsl.TLS_server_method()));
        if (!context.IsInvalid && context.TrySet() && context.TryUse(certificate)) return context;
        OpenSsl.ERR_clear_error();
        context.Dispose();
        return null;
    }

    protected override bool ReleaseHandle()
    {
        OpenSsl.SSL_CTX_free(handle);
        return true;
    }

    private bool TrySet()
    {
        OpenSsl.SSL_CTX_set_options(handle, OpenSsl.NoCompression | OpenSsl.NoRenegotiation | OpenSsl.ServerPreference | OpenSsl.IgnoreUnexpectedEnd);
        OpenSsl.SSL_CTX_ctrl(handle, OpenSsl.ControlMode, OpenSsl.PartialWrite | OpenSsl.MovingBuffer | OpenSsl.ReleaseBuffers, null);
        // Tickets carry the sessions: nothing is kept here.
        OpenSsl.SSL_CTX_ctrl(handle, OpenSsl.ControlSessionCache, 0, null);
        OpenSsl.SSL_CTX_ctrl(handle, OpenSsl.ControlReadAhead, 1, null);
        OpenSsl.SSL_CTX_set_alpn_select_cb(handle, &Choose, null);
        fixed (byte* names = Ciphers) return OpenSsl.SSL_CTX_ctrl(handle, OpenSsl.ControlVersionMin, OpenSsl.Tls12, null) == 1 && OpenSsl.SSL_CTX_set_cipher_list(handle, names) == 1;
    }

    private bool TryUse(TlsCertificate certificate)
    {
        var leaf = certificate.Leaf.RawData;
        fixed (byte* bytes = leaf)
        {
            if (OpenSsl.SSL_CTX_use_certificate_ASN1(handle, leaf.Length, bytes) != 1) return false;
        }
        foreach (var between in certificate.Context.IntermediateCertificates)
        {
            var encoded = between.RawData;
            fixed (byte* bytes = encoded)
            {
                var at = bytes;
                var x509 = OpenSsl.d2i_X509(0, &at, encoded.Length);
                if (x509 == 0) return false;
                if (OpenSsl.SSL_CTX_ctrl(handle, OpenSsl.ControlChainCertificate, 0, (void*)x509) == 1) continue; // it is the context's now
                OpenSsl.X509_free(x509);
                return false;
            }
        }
        return TryKey(certificate.Leaf) && OpenSsl.SSL_CTX_check_private_key(handle) == 1;
    }

    private bool TryKey(X509Certificate2 leaf)
    {
        byte[] encoded;
        try
        {
            using AsymmetricAlgorithm? key = (AsymmetricAlgorithm?)leaf.GetECDsaPrivateKey() ?? leaf.GetRSAPrivateKey();
            if (key is null) return false;
            encoded = key.ExportPkcs8PrivateKey();
        }
        catch (CryptographicException)
        {
            return false;
        }
        fixed (byte* bytes = encoded)
        {
            var at = bytes;
            var key = OpenSsl.d2i_AutoPrivateKey(0, &at, encoded.Length);
            CryptographicOperations.ZeroMemory(encoded);
            if (key == 0) return false;
            var used = OpenSsl.SSL_CTX_use_PrivateKey(handle, key);
            OpenSsl.EVP_PKEY_free(key);
            return used == 1;
        }
    }

    /// <summary>RFC 7301: the client's list is made of names, each after a byte with its length.</summary>
    [UnmanagedCallersOnly]
    private static int Choose(nint session, byte** chosen, byte* chosenLength, byte* offered, uint length, void* argument)
    {
        for (uint at = 0; at < length && at + 1 + offered[at] <= length; at += 1u + offered[at])
        {
            if (!new ReadOnlySpan<byte>(offered + at + 1, offered[at]).SequenceEqual(Http11)) continue;
            *chosen = offered + at + 1;
            *chosenLength = offered[at];
            return OpenSsl.AlpnChosen;
        }
        return OpenSsl.AlpnNone;
    }
}
