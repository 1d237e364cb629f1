/* Passwords: argon2id for all new ones; the original's HMAC-MD5 is only verified. Blocks for tens of milliseconds and
 * takes argon2_memory: for a work thread. */
#include "auth_priv.h"

#include <argon2.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HASH_BYTES 32
#define SALT_BYTES 16
#define PHC_BYTES 256
#define MEMORY_KIB_MAX (4u << 20) /* what a stored hash may ask for: more is no hash of ours */
#define TIME_MAX 100
#define LANES_MAX 16

struct params {
    uint32_t memory_kib, time, lanes;
};

static struct params
params_now(const struct pim_auth *auth)
{
    return (struct params){atomic_load(&auth->memory_kib), atomic_load(&auth->time), atomic_load(&auth->lanes)};
}

static bool
too_late(const struct pim_auth *auth, const struct pim_call *call)
{
    if (call == NULL)
        return false;
    return (call->cancelled != NULL && __atomic_load_n(call->cancelled, __ATOMIC_RELAXED) != 0) ||
           (call->deadline_ms != 0 && auth->host->now_ms(auth->host) >= call->deadline_ms);
}

int32_t
auth_password_hash(struct pim_auth *auth, const struct pim_call *call, const char *password, uint32_t password_len,
                   pim_text2_fn put, void *ctx, struct pim_err *err)
{
    struct params p = params_now(auth);
    unsigned char salt[SALT_BYTES];
    char phc[PHC_BYTES];
    int rc;

    if (too_late(auth, call))
        return auth_fail(err, PIM_ERR_TIMEOUT, "the deadline passed before the password's turn came");
    if (getrandom(salt, sizeof salt, 0) != sizeof salt)
        return auth_fail(err, PIM_ERR_INTERNAL, "getrandom failed");
    rc = argon2id_hash_encoded(p.time, p.memory_kib, p.lanes, password, password_len, salt, sizeof salt, HASH_BYTES,
                               phc, sizeof phc);
    if (rc != ARGON2_OK)
        return auth_fail(err, rc == ARGON2_MEMORY_ALLOCATION_ERROR ? PIM_ERR_NOMEM : PIM_ERR_INTERNAL, "argon2: %s",
                         argon2_error_message(rc));
    put(ctx, "hash", phc, (uint32_t)strlen(phc));
    return PIM_OK;
}

/* --- the original's --- */

static bool
hex_valid(const char *text, size_t len)
{
    return len == 32 && strspn(text, "0123456789abcdef") >= 32;
}

static int32_t
legacy_check(const struct pim_auth *auth, const char *hex, const char *password, uint32_t password_len,
             int32_t *out_rehash, struct pim_err *err)
{
    unsigned char text[4096 + AUTH_SALT_BYTES_MAX], mac[EVP_MAX_MD_SIZE];
    char have[33];
    unsigned mac_len = 0;
    bool same;

    if (!auth->legacy || password_len > 4096)
        return PIM_REFUSED;
    memcpy(text, password, password_len);
    memcpy(text + password_len, auth->legacy_salt, auth->legacy_salt_len);
    if (HMAC(EVP_md5(), "", 0, text, password_len + auth->legacy_salt_len, mac, &mac_len) == NULL || mac_len != 16) {
        OPENSSL_cleanse(text, sizeof text);
        return auth_fail(err, PIM_ERR_UNSUPPORTED, "OpenSSL has no HMAC-MD5 here, which imported passwords need");
    }
    OPENSSL_cleanse(text, sizeof text);
    for (unsigned i = 0; i < mac_len; i++)
        snprintf(have + 2 * i, 3, "%02x", mac[i]);
    same = CRYPTO_memcmp(have, hex, 32) == 0;
    if (same && out_rehash != NULL)
        *out_rehash = 1;
    return same ? PIM_OK : PIM_REFUSED;
}

/* --- argon2id --- */

/* A decimal number without sign or leading zero, then the character `end`. */
static bool
take_number(const char **text, char end, uint32_t max, uint32_t *out)
{
    uint64_t n = 0;

    if (**text < '1' || **text > '9')
        return false;
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        n = n * 10 + (uint64_t)(**text - '0');
        if (n > max)
            return false;
    }
    *out = (uint32_t)n;
    return *(*text)++ == end;
}

/* The parameters of "$argon2id$v=19$m=..,t=..,p=..$salt$hash": looked at before the library allocates what they say. */
static bool
phc_params(const char *phc, struct params *out)
{
    static const char begin[] = "$argon2id$v=19$m=";

    if (strncmp(phc, begin, sizeof begin - 1) != 0)
        return false;
    phc += sizeof begin - 1;
    if (!take_number(&phc, ',', MEMORY_KIB_MAX, &out->memory_kib) || strncmp(phc, "t=", 2) != 0)
        return false;
    phc += 2;
    if (!take_number(&phc, ',', TIME_MAX, &out->time) || strncmp(phc, "p=", 2) != 0)
        return false;
    phc += 2;
    return take_number(&phc, '$', LANES_MAX, &out->lanes);
}

/* As long as for a hash that is there; so an account that is not there, or has no password, looks the same. */
static int32_t
nobody_check(struct pim_auth *auth, const char *password, uint32_t password_len)
{
    struct params p = params_now(auth);
    unsigned char sink[HASH_BYTES], salt[SALT_BYTES] = {0};

    /* whether it worked changes nothing: the answer is no */
    argon2id_hash_raw(p.time, p.memory_kib, p.lanes, password, password_len, salt, sizeof salt, sink, sizeof sink);
    return PIM_REFUSED;
}

int32_t
auth_password_check(struct pim_auth *auth, const struct pim_call *call, const char *hash, uint32_t hash_len,
                    const char *password, uint32_t password_len, int32_t *out_rehash, struct pim_err *err)
{
    static const char legacy[] = "hmac-md5$";
    struct params now = params_now(auth), was;
    char phc[PHC_BYTES];
    int rc;

    if (out_rehash != NULL)
        *out_rehash = 0;
    if (too_late(auth, call))
        return auth_fail(err, PIM_ERR_TIMEOUT, "the deadline passed before the password's turn came");
    if (hash_len == 0)
        return nobody_check(auth, password, password_len);
    if (hash_len >= sizeof phc || memchr(hash, '\0', hash_len) != NULL)
        return auth_fail(err, PIM_ERR_CORRUPT, "a stored password hash is of no known form");
    memcpy(phc, hash, hash_len);
    phc[hash_len] = '\0';
    if (hex_valid(phc, hash_len))
        return legacy_check(auth, phc, password, password_len, out_rehash, err);
    if (strncmp(phc, legacy, sizeof legacy - 1) == 0 &&
        hex_valid(phc + sizeof legacy - 1, hash_len - (sizeof legacy - 1)))
        return legacy_check(auth, phc + sizeof legacy - 1, password, password_len, out_rehash, err);
    if (!phc_params(phc, &was))
        return auth_fail(err, PIM_ERR_CORRUPT, "a stored password hash is of no known form");
    rc = argon2id_verify(phc, password, password_len);
    if (rc == ARGON2_VERIFY_MISMATCH)
        return PIM_REFUSED;
    if (rc == ARGON2_MEMORY_ALLOCATION_ERROR)
        return auth_fail(err, PIM_ERR_NOMEM, "argon2: %s", argon2_error_message(rc));
    if (rc != ARGON2_OK)
        return auth_fail(err, PIM_ERR_CORRUPT, "a stored password hash cannot be read: %s", argon2_error_message(rc));
    if (out_rehash != NULL)
        *out_rehash = was.memory_kib != now.memory_kib || was.time != now.time || was.lanes != now.lanes;
    return PIM_OK;
}
