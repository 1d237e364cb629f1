/* http/tls.h - our side of TLS: 1.2 and up, forward secrecy only, no renegotiation, no compression, no early data. */
#ifndef PIM_HTTP_TLS_H
#define PIM_HTTP_TLS_H
#include "util/err.h"

#include <openssl/ssl.h>

/**
 * Make the context from a certificate chain and its key, both PEM.
 *
 * @return PIM_OK, or PIM_ERR_INVALID with the file and the reason in err. *out_ctx is the caller's, SSL_CTX_free.
 */
PIM_MUST_CHECK int pim_http_tls_new(const char *cert_path, const char *key_path, SSL_CTX **out_ctx, struct pim_err *err);

#endif
