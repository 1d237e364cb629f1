/* Tokens. libjwt signs and verifies; what it lets through (no expiry check, any algorithm, no check without a key) is
 * refused here: one algorithm, pinned before and after, and each claim with its type. */
#include "auth_priv.h"

#include "token_parse.h"

#include <inttypes.h>
#include <jansson.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define LEEWAY_S 60
#define CLAIMS 10

static bool
session_valid(const char *session, size_t len)
{
    return len > 0 && len < sizeof((struct pim_subject *)0)->session &&
           strspn(session, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") == len;
}

int32_t
auth_token_make(struct pim_auth *auth, const struct pim_call *call, const struct pim_subject *subject,
                const char *purpose, pim_text2_fn put, void *ctx, struct pim_err *err)
{
    unsigned char random[16];
    char jti[2 * sizeof random + 1], sub[24], *text = NULL;
    int64_t now = time(NULL), issued, expires;
    jwt_t *jwt = NULL;
    int32_t rc = PIM_ERR_INTERNAL;

    (void)call;
    if (subject->user_id <= 0 || purpose == NULL || *purpose == '\0' ||
        !session_valid(subject->session, strnlen(subject->session, sizeof subject->session)))
        return auth_fail(err, PIM_ERR_INVALID, "a token needs a user, a session of letters and digits, and a purpose");
    issued = subject->issued_s != 0 ? subject->issued_s : now;
    expires = subject->expires_s != 0 ? subject->expires_s : issued + atomic_load(&auth->token_life_s);
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return auth_fail(err, PIM_ERR_INTERNAL, "getrandom failed");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(jti + 2 * i, 3, "%02x", random[i]);
    snprintf(sub, sizeof sub, "%" PRId64, subject->user_id);
    if (jwt_new(&jwt) != 0 || jwt_set_alg(jwt, JWT_ALG_HS256, auth->key, (int)auth->key_len) != 0 ||
        jwt_add_grant_int(jwt, "user_id", (long)subject->user_id) != 0 || jwt_add_grant(jwt, "sub", sub) != 0 ||
        jwt_add_grant_int(jwt, "iat", (long)issued) != 0 || jwt_add_grant_int(jwt, "nbf", (long)issued) != 0 ||
        jwt_add_grant_int(jwt, "exp", (long)expires) != 0 || jwt_add_grant(jwt, "iss", auth->issuer) != 0 ||
        jwt_add_grant(jwt, "aud", auth->audience) != 0 || jwt_add_grant(jwt, "jti", jti) != 0 ||
        jwt_add_grant(jwt, "sid", subject->session) != 0 || jwt_add_grant(jwt, "use", purpose) != 0 ||
        (text = jwt_encode_str(jwt)) == NULL) {
        auth_fail(err, rc, "libjwt could not make a token");
    } else {
        put(ctx, "token", text, (uint32_t)strlen(text));
        rc = PIM_OK;
    }
    free(text);
    jwt_free(jwt);
    return rc;
}

static const char *
claim_text(const json_t *claims, const char *name, size_t max_len)
{
    const json_t *value = json_object_get(claims, name);
    size_t len = json_string_length(value);

    return json_is_string(value) && len > 0 && len <= max_len ? json_string_value(value) : NULL;
}

static bool
claim_int(const json_t *claims, const char *name, int64_t *out)
{
    const json_t *value = json_object_get(claims, name);

    *out = json_integer_value(value);
    return json_is_integer(value) && *out > 0;
}

static const char *
claims_check(const struct pim_auth *auth, const json_t *claims, const char *purpose, struct pim_subject *out)
{
    int64_t user_id, issued, begins, expires, now = time(NULL);
    const char *issuer = claim_text(claims, "iss", 100), *audience = claim_text(claims, "aud", 100);
    const char *use = claim_text(claims, "use", 32), *session = claim_text(claims, "sid", sizeof out->session - 1);
    const char *subject = claim_text(claims, "sub", 20), *id = claim_text(claims, "jti", 64);
    char sub[24];

    if (json_object_size(claims) != CLAIMS || issuer == NULL || audience == NULL || use == NULL || session == NULL ||
        subject == NULL || id == NULL || !claim_int(claims, "user_id", &user_id) ||
        !claim_int(claims, "iat", &issued) || !claim_int(claims, "nbf", &begins) ||
        !claim_int(claims, "exp", &expires) || !session_valid(session, strlen(session)))
        return "the token's claims are not those of our tokens";
    snprintf(sub, sizeof sub, "%" PRId64, user_id);
    if (strcmp(sub, subject) != 0)
        return "the token's sub and user_id differ";
    if (strcmp(issuer, auth->issuer) != 0)
        return "the token is of another issuer";
    if (strcmp(audience, auth->audience) != 0)
        return "the token is for another audience";
    if (strcmp(use, purpose) != 0)
        return "the token is for another purpose";
    if (expires <= now)
        return "the token has expired";
    if (issued > now + LEEWAY_S || begins > now + LEEWAY_S || issued >= expires)
        return "the token is not valid yet";
    out->user_id = user_id;
    out->issued_s = issued;
    out->expires_s = expires;
    snprintf(out->session, sizeof out->session, "%s", session);
    return NULL;
}

int32_t
auth_token_check(struct pim_auth *auth, const struct pim_call *call, const char *token, uint32_t token_len,
                 const char *purpose, struct pim_subject *out_subject, struct pim_err *err)
{
    struct pim_subject subject = {.struct_size = sizeof subject};
    char text[AUTH_TOKEN_BYTES_MAX + 1];
    unsigned char body[AUTH_TOKEN_BYTES_MAX];
    struct auth_token parts;
    const char *why;
    json_t *claims = NULL;
    jwt_t *jwt = NULL;
    size_t body_len;
    uint32_t size;

    (void)call;
    why = auth_token_split(token, token_len, &parts);
    if (why != NULL)
        goto out;
    memcpy(text, token, token_len);
    text[token_len] = '\0';
    /* key_len is at least 32: libjwt would check nothing without a key */
    if (jwt_decode(&jwt, text, auth->key, (int)auth->key_len) != 0 || jwt_get_alg(jwt) != JWT_ALG_HS256) {
        why = "the token's signature is wrong";
        goto out;
    }
    why = "the token's claims are no JSON object";
    if (!auth_base64url_decode(parts.body, parts.body_len, body, sizeof body, &body_len))
        goto out;
    claims = json_loadb((const char *)body, body_len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(claims))
        why = claims_check(auth, claims, purpose, &subject);
out:
    json_decref(claims);
    jwt_free(jwt);
    if (why != NULL)
        return auth_fail(err, PIM_REFUSED, "%s", why);
    size = out_subject->struct_size < sizeof subject ? out_subject->struct_size : (uint32_t)sizeof subject;
    subject.struct_size = out_subject->struct_size;
    memcpy(out_subject, &subject, size);
    return PIM_OK;
}
