/* Any token: our look at it must hold what it promises to libjwt, which comes after it. */
#include "../../plugins/auth/token_parse.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct auth_token parts;
    unsigned char bytes[AUTH_TOKEN_BYTES_MAX];
    size_t len;

    /* the header's reader alone, so that the fuzzer need not find base64url first */
    if (auth_token_header_valid((const char *)data, size) &&
        (memmem(data, size, "HS256", 5) == NULL || memmem(data, size, "JWT", 3) == NULL ||
         memmem(data, size, "none", 4) != NULL))
        abort();
    if (auth_token_split((const char *)data, size, &parts) != NULL)
        return 0;
    if (size > AUTH_TOKEN_BYTES_MAX || parts.head_len + parts.body_len + parts.sig_len + 2 != size ||
        parts.sig_len != AUTH_SIGNATURE_CHARS || memchr(data, '=', size) != NULL || memchr(data, '\0', size) != NULL)
        abort();
    if (!auth_base64url_decode(parts.head, parts.head_len, bytes, sizeof bytes, &len) ||
        !auth_token_header_valid((const char *)bytes, len))
        abort();
    return 0;
}
