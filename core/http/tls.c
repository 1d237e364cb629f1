#include "http/tls.h"

#include <openssl/err.h>
#include <string.h>

static int
on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned int in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto((unsigned char **)out, out_len, ours, sizeof ours - 1, in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2 */
    return SSL_TLSEXT_ERR_OK;
}

static int
failed(struct pim_err *err, const char *path)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return pim_err_set(err, PIM_ERR_INVALID, "tls: %s: %s", path, reason != NULL ? reason : "cannot be used");
}

int
pim_http_tls_new(const char *cert_path, const char *key_path, SSL_CTX **out_ctx, struct pim_err *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    int rc;

    if (ctx == NULL)
        return failed(err, "context");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_early_data(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets do without */
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"privateim", 9);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    if (SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") != 1) {
        rc = failed(err, "ciphers");
        goto out;
    }
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_path) != 1) {
        rc = failed(err, cert_path);
        goto out;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key_path, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        rc = failed(err, key_path);
        goto out;
    }
    *out_ctx = ctx;
    ctx = NULL;
    rc = PIM_OK;
out:
    SSL_CTX_free(ctx);
    return rc;
}
