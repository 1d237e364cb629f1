/* The auth plugin as the server loads it. Tokens are made here by hand, with the plugin's own key. */
#include "plugin/loader.h"
#include "util/err.h"
#include "util/log.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>

#include <cmocka.h>

static char dir[] = "/tmp/pim-auth-XXXXXX";
static char key_path[128], salt_path[128];
static struct pim_plugin_handle *handle;
static const struct pim_auth_ops *ops;
static struct pim_auth *auth;
static unsigned char key[32];
static int64_t now_s;

/* cheap parameters: these tests are about what is accepted */
static const struct pim_kv options[] = {
    {"secret_file", key_path},
    {"argon2_memory", "8192"},
    {"argon2_time", "1"},
    {"legacy_salt_file", salt_path},
};

static int
setup(void **state)
{
    struct pim_plugin_dirs dirs = {.plugin_dir = "/nowhere", .build_dir = BUILD_DIR};
    struct pim_err err = PIM_ERR_INIT;
    uint64_t caps;
    FILE *file;

    (void)state;
    pim_log_level_set(PIM_LOG_ERR);
    now_s = time(NULL);
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(key_path, sizeof key_path, "%s/token.key", dir);
    snprintf(salt_path, sizeof salt_path, "%s/salt", dir);
    file = fopen(salt_path, "w");
    fputs("pepper\n", file);
    fclose(file);
    if (pim_plugin_open(&dirs, "auth", PIM_KIND_AUTH, &handle, &err) != PIM_OK ||
        pim_plugin_options_check(handle, options, PIM_COUNT(options), &err) != PIM_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    ops = pim_plugin_auth(handle);
    if (ops->open(pim_plugin_host(handle), options, PIM_COUNT(options), &auth, &caps, &err) != PIM_OK) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    file = fopen(key_path, "rb");
    return fread(key, 1, sizeof key, file) != sizeof key || fclose(file) != 0 ||
           caps != (PIM_AUTH_CAP_FAST | PIM_AUTH_CAP_PASSWORD | PIM_AUTH_CAP_TOKEN);
}

static int
teardown(void **state)
{
    char command[128];

    (void)state;
    ops->close(&auth);
    pim_plugin_close(&handle);
    snprintf(command, sizeof command, "rm -r %s", dir);
    return system(command);
}

/* --- making tokens --- */

static size_t
base64url(char *dst, const void *src, size_t src_len)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)dst, src, (int)src_len);

    while (n > 0 && dst[n - 1] == '=')
        n--;
    dst[n] = '\0';
    for (size_t i = 0; i < n; i++)
        dst[i] = dst[i] == '+' ? '-' : dst[i] == '/' ? '_' : dst[i];
    return n;
}

static void
token_sign(char *dst, const char *head, const char *body, const EVP_MD *md, const void *k, int k_len)
{
    unsigned char mac[64];
    unsigned mac_len;
    size_t at = base64url(dst, head, strlen(head));

    dst[at++] = '.';
    at += base64url(dst + at, body, strlen(body));
    HMAC(md, k, k_len, (unsigned char *)dst, at, mac, &mac_len);
    dst[at++] = '.';
    base64url(dst + at, mac, mac_len);
}

#define HEAD "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

struct claims {
    const char *user_id, *sub, *iat, *nbf, *exp, *iss, *aud, *jti, *sid, *use, *more;
};
static char iat[24], later[24], past[24], soon[24], far[24];

static struct claims
claims_good(void)
{
    snprintf(iat, sizeof iat, "%" PRId64, now_s);
    snprintf(later, sizeof later, "%" PRId64, now_s + 3600);
    snprintf(past, sizeof past, "%" PRId64, now_s - 1);
    snprintf(soon, sizeof soon, "%" PRId64, now_s + 30);
    snprintf(far, sizeof far, "%" PRId64, now_s + 600);
    return (struct claims){"7",      "\"7\"",  iat,         iat, later, "\"privateim\"", "\"privateim\"",
                           "\"a1\"", "\"s1\"", "\"login\"", NULL};
}

static void
claims_json(char *dst, const struct claims *c)
{
    const char *const names[] = {"user_id", "sub", "iat", "nbf", "exp", "iss", "aud", "jti", "sid", "use"};
    const char *const values[] = {c->user_id, c->sub, c->iat, c->nbf, c->exp, c->iss, c->aud, c->jti, c->sid, c->use};
    char comma = '{';

    for (size_t i = 0; i < PIM_COUNT(names); i++) {
        if (values[i] != NULL) {
            dst += sprintf(dst, "%c\"%s\":%s", comma, names[i], values[i]);
            comma = ',';
        }
    }
    sprintf(dst, "%s}", c->more == NULL ? "" : c->more);
}

static int
check(const char *token, size_t len, struct pim_subject *out)
{
    struct pim_subject subject = {.struct_size = sizeof subject};
    struct pim_err err = PIM_ERR_INIT;
    int rc = ops->token_check(auth, NULL, token, (uint32_t)len, "login", out == NULL ? &subject : out, &err);

    if (rc != PIM_OK)
        assert_true(err.msg[0] != '\0');
    return rc;
}

static void
good_tokens_are_taken(void **state)
{
    static const char *const heads[] = {
        HEAD,
        "{\"typ\":\"JWT\",\"alg\":\"HS256\"}",
        " { \"alg\" :\t\"HS256\" ,\r\n\"typ\":\"JWT\" } ",
    };
    struct claims c = claims_good();
    char token[4200], body[2048];

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(heads); i++) {
        struct pim_subject subject = {.struct_size = sizeof subject};

        claims_json(body, &c);
        token_sign(token, heads[i], body, EVP_sha256(), key, sizeof key);
        assert_int_equal(check(token, strlen(token), &subject), PIM_OK);
        assert_int_equal(subject.user_id, 7);
        assert_int_equal(subject.issued_s, now_s);
        assert_int_equal(subject.expires_s, now_s + 3600);
        assert_string_equal(subject.session, "s1");
    }
    c.iat = c.nbf = soon; /* our clocks may differ by a minute */
    claims_json(body, &c);
    token_sign(token, HEAD, body, EVP_sha256(), key, sizeof key);
    assert_int_equal(check(token, strlen(token), NULL), PIM_OK);
}

static void
bad_headers_are_refused(void **state)
{
    static const char *const heads[] = {
        "{\"alg\":\"none\",\"typ\":\"JWT\"}",
        "{\"alg\":\"None\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS384\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS512\",\"typ\":\"JWT\"}",
        "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"hs256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"jwt\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\"}",
        "{\"typ\":\"JWT\"}",
        "{}",
        "",
        "null",
        "[\"alg\",\"HS256\"]",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"alg\":\"HS256\"}",
        "{\"alg\":\"none\",\"alg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"typ\":\"JWT\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"1\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"jku\":\"https://evil.example/keys\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"x5u\":\"https://evil.example/cert\"}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",}",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}x",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\"}{}",
        "{\"\\u0061lg\":\"HS256\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\" \"typ\":\"JWT\"}",
        "{\"alg\":[\"HS256\"],\"typ\":\"JWT\"}",
    };
    struct claims c = claims_good();
    char token[4200], body[2048];

    (void)state;
    claims_json(body, &c);
    for (size_t i = 0; i < PIM_COUNT(heads); i++) {
        token_sign(token, heads[i], body, EVP_sha256(), key, sizeof key);
        if (check(token, strlen(token), NULL) != PIM_REFUSED)
            fail_msg("the header %s was taken", heads[i]);
    }
}

static void
bad_claims_are_refused(void **state)
{
#define WITH(field, value)                                                                                             \
    {                                                                                                                  \
#field "=" #value, offsetof(struct claims, field), value                                                       \
    }
    const struct {
        const char *name;
        size_t at;
        const char *value;
    } cases[] = {
        WITH(user_id, NULL),
        WITH(sub, NULL),
        WITH(iat, NULL),
        WITH(nbf, NULL),
        WITH(exp, NULL),
        WITH(iss, NULL),
        WITH(aud, NULL),
        WITH(jti, NULL),
        WITH(sid, NULL),
        WITH(use, NULL),
        WITH(user_id, "\"7\""),
        WITH(user_id, "7.0"),
        WITH(user_id, "0"),
        WITH(user_id, "-7"),
        WITH(user_id, "true"),
        WITH(user_id, "99999999999999999999"),
        WITH(user_id, "8"),
        WITH(sub, "7"),
        WITH(sub, "\"8\""),
        WITH(sub, "\"07\""),
        WITH(sub, "null"),
        WITH(iat, "\"1\""),
        WITH(iat, far),
        WITH(iat, "1e9"),
        WITH(nbf, far),
        WITH(nbf, "null"),
        WITH(exp, past),
        WITH(exp, iat),
        WITH(exp, "\"9999999999\""),
        WITH(exp, "9999999999.5"),
        WITH(exp, "0"),
        WITH(iss, "\"other\""),
        WITH(iss, "\"\""),
        WITH(iss, "[\"privateim\"]"),
        WITH(iss, "\"PrivateIM\""),
        WITH(aud, "\"other\""),
        WITH(aud, "[\"privateim\"]"),
        WITH(aud, "1"),
        WITH(jti, "1"),
        WITH(jti, "\"\""),
        WITH(sid, "\"\""),
        WITH(sid, "5"),
        WITH(sid, "\"../x\""),
        WITH(sid, "\"0123456789012345678901234567890123456789012345678901234567890123\""),
        WITH(use, "\"reset\""),
        WITH(use, "\"\""),
        WITH(use, "1"),
        WITH(use, "\"login\\u0000\""),
        WITH(more, ",\"admin\":true"),
        WITH(more, ",\"user_id\":8"),
        WITH(more, ",\"exp\":9999999999"),
        WITH(more, ","),
        WITH(more, "}{\"a\":1"),
    };
    char token[4200], body[2048];

    (void)state;
    claims_good();
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        struct claims c = claims_good();

        *(const char **)(void *)((char *)&c + cases[i].at) = cases[i].value;
        claims_json(body, &c);
        token_sign(token, HEAD, body, EVP_sha256(), key, sizeof key);
        if (check(token, strlen(token), NULL) != PIM_REFUSED)
            fail_msg("the claim %s was taken", cases[i].name);
    }
    token_sign(token, HEAD, "[]", EVP_sha256(), key, sizeof key);
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    token_sign(token, HEAD, "{", EVP_sha256(), key, sizeof key);
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
}

static void
bad_signatures_are_refused(void **state)
{
    struct claims c = claims_good();
    char token[4200], good[4200], body[2048], public_pem[1024] = "";
    unsigned char other[32] = {1};
    size_t len;
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());

    (void)state;
    claims_json(body, &c);
    token_sign(good, HEAD, body, EVP_sha256(), key, sizeof key);
    len = strlen(good);
    assert_int_equal(check(good, len, NULL), PIM_OK);
    token_sign(token, HEAD, body, EVP_sha256(), other, sizeof other);
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    token_sign(token, HEAD, body, EVP_sha256(), "", 0);
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    token_sign(token, HEAD, body, EVP_sha512(), key, sizeof key);
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    token_sign(token, HEAD, body, EVP_sha256(), key, 31);
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    /* each character, changed */
    for (size_t i = 0; i < len; i++) {
        memcpy(token, good, len + 1);
        token[i] = token[i] == 'A' ? 'B' : 'A';
        if (check(token, len, NULL) != PIM_REFUSED)
            fail_msg("a change at %zu was taken", i);
    }
    /* RS256 with a key of the attacker's, and HS256 with its public part as the key */
    PEM_write_bio_PUBKEY(bio, rsa);
    BIO_read(bio, public_pem, sizeof public_pem - 1);
    token_sign(token, HEAD, body, EVP_sha256(), public_pem, (int)strlen(public_pem));
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    token_sign(token, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", body, EVP_sha256(), public_pem, (int)strlen(public_pem));
    assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    BIO_free(bio);
    EVP_PKEY_free(rsa);
}

static void
bad_shapes_are_refused(void **state)
{
    struct claims c = claims_good();
    char token[9000], good[4200], body[2048];
    char *last;
    size_t len;

    (void)state;
    claims_json(body, &c);
    token_sign(good, HEAD, body, EVP_sha256(), key, sizeof key);
    len = strlen(good);
    assert_int_equal(check("", 0, NULL), PIM_REFUSED);
    assert_int_equal(check(".", 1, NULL), PIM_REFUSED);
    assert_int_equal(check("..", 2, NULL), PIM_REFUSED);
    assert_int_equal(check("42", 2, NULL), PIM_REFUSED);
    for (size_t i = 0; i < len; i++) /* every beginning of it */
        assert_int_equal(check(good, i, NULL), PIM_REFUSED);
    last = strrchr(good, '.');
    assert_int_equal(check(good, (size_t)(last - good), NULL), PIM_REFUSED);     /* two parts */
    assert_int_equal(check(good, (size_t)(last - good) + 1, NULL), PIM_REFUSED); /* no signature */
#define VARIANT(...)                                                                                                   \
    do {                                                                                                               \
        snprintf(token, sizeof token, __VA_ARGS__);                                                                    \
        assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);                                              \
    } while (0)
    VARIANT("%s.x", good);
    VARIANT("%s.", good);
    VARIANT(".%s", good);
    VARIANT("%s=", good);
    VARIANT("%s==", good);
    VARIANT(" %s", good);
    VARIANT("%s ", good);
    VARIANT("%s\n", good);
    VARIANT("Bearer %s", good);
    VARIANT("%.*s=%s", (int)(strchr(good, '.') - good), good, strchr(good, '.'));
    VARIANT("%s%s", good, good);
    /* 32 bytes leave two unused bits in the last character: only one of its four spellings is taken */
    {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        size_t at = (size_t)(strchr(alphabet, good[len - 1]) - alphabet);

        for (size_t i = 1; i < 4; i++) {
            memcpy(token, good, len + 1);
            token[len - 1] = alphabet[(at & ~(size_t)3) + i];
            assert_int_equal(check(token, len, NULL), PIM_REFUSED);
        }
    }
    /* the other alphabet of base64 */
    memcpy(token, good, len + 1);
    token[10] = '+';
    assert_int_equal(check(token, len, NULL), PIM_REFUSED);
    token[10] = '\0';
    assert_int_equal(check(token, len, NULL), PIM_REFUSED);
    memcpy(token, good, len + 1);
    assert_int_equal(check(token, len + 1, NULL), PIM_REFUSED); /* the NUL byte counts */
    /* over 4 KiB, and otherwise right */
    {
        char more[3100], long_body[4096];

        snprintf(more, sizeof more, ",\"pad\":\"%03000d\"", 0);
        c.more = more;
        claims_json(long_body, &c);
        token_sign(token, HEAD, long_body, EVP_sha256(), key, sizeof key);
        assert_true(strlen(token) > 4096);
        assert_int_equal(check(token, strlen(token), NULL), PIM_REFUSED);
    }
}

struct kept {
    char name[16], text[4200];
};

static void
keep(void *ctx, const char *name, const char *value, uint32_t value_len)
{
    struct kept *kept = ctx;

    snprintf(kept->name, sizeof kept->name, "%s", name);
    snprintf(kept->text, sizeof kept->text, "%.*s", (int)value_len, value);
}

static void
tokens_we_make_are_ours(void **state)
{
    struct pim_subject in = {.struct_size = sizeof in, .user_id = 123456789012345, .session = "Sess-1_x"};
    struct pim_subject out = {.struct_size = sizeof out},
                       small = {.struct_size = offsetof(struct pim_subject, session)};
    struct pim_err err = PIM_ERR_INIT;
    struct kept one, two;

    (void)state;
    assert_int_equal(ops->token_make(auth, NULL, &in, "login", keep, &one, &err), PIM_OK);
    assert_string_equal(one.name, "token");
    assert_int_equal(check(one.text, strlen(one.text), &out), PIM_OK);
    assert_int_equal(out.user_id, in.user_id);
    assert_int_equal(out.expires_s - out.issued_s, 7 * 86400);
    assert_string_equal(out.session, in.session);
    assert_int_equal(ops->token_make(auth, NULL, &in, "login", keep, &two, &err), PIM_OK);
    assert_string_not_equal(one.text, two.text);
    /* an older host's smaller struct is not overrun */
    strcpy(small.session, "untouched");
    assert_int_equal(check(one.text, strlen(one.text), &small), PIM_OK);
    assert_string_equal(small.session, "untouched");
    /* a token for one purpose is good for no other */
    assert_int_equal(ops->token_check(auth, NULL, one.text, (uint32_t)strlen(one.text), "reset", &out, &err),
                     PIM_REFUSED);
    assert_non_null(strstr(err.msg, "purpose"));
    in.expires_s = now_s - 5;
    in.issued_s = now_s - 10;
    assert_int_equal(ops->token_make(auth, NULL, &in, "login", keep, &one, &err), PIM_OK);
    assert_int_equal(ops->token_check(auth, NULL, one.text, (uint32_t)strlen(one.text), "login", &out, &err),
                     PIM_REFUSED);
    assert_non_null(strstr(err.msg, "expired"));
    in.session[0] = '\0';
    assert_int_equal(ops->token_make(auth, NULL, &in, "login", keep, &one, &err), PIM_ERR_INVALID);
}

/* --- passwords --- */

static int
password(const char *hash, const char *text, int32_t *rehash)
{
    struct pim_err err = PIM_ERR_INIT;

    return ops->password_check(auth, NULL, hash, (uint32_t)strlen(hash), text, (uint32_t)strlen(text), rehash, &err);
}

static void
passwords_are_hashed_with_the_parameters_in_force(void **state)
{
    static const struct pim_kv grown[] = {{"argon2_memory", "9000"}, {"argon2_time", "2"}, {"argon2_lanes", "2"}};
    static const struct pim_kv wrong[] = {{"argon2_memory", "1"}};
    static const struct pim_kv as_before[] = {{"argon2_memory", "8192"}, {"argon2_time", "1"}};
    struct pim_err err = PIM_ERR_INIT;
    struct kept old, fresh;
    int32_t rehash = 7;

    (void)state;
    assert_int_equal(ops->password_hash(auth, NULL, "correct horse", 13, keep, &old, &err), PIM_OK);
    assert_string_equal(old.name, "hash");
    assert_int_equal(strncmp(old.text, "$argon2id$v=19$m=8192,t=1,p=1$", 30), 0);
    assert_int_equal(password(old.text, "correct horse", &rehash), PIM_OK);
    assert_int_equal(rehash, 0);
    assert_int_equal(password(old.text, "correct horsf", &rehash), PIM_REFUSED);
    assert_int_equal(password(old.text, "", &rehash), PIM_REFUSED);
    assert_int_equal(ops->password_hash(auth, NULL, "correct horse", 13, keep, &fresh, &err), PIM_OK);
    assert_string_not_equal(old.text, fresh.text); /* salted */
    assert_int_equal(ops->reload(auth, wrong, 1, &err), PIM_ERR_INVALID);
    assert_int_equal(ops->reload(auth, grown, 3, &err), PIM_OK);
    assert_int_equal(password(old.text, "correct horse", &rehash), PIM_OK);
    assert_int_equal(rehash, 1);
    assert_int_equal(password(old.text, "wrong", &rehash), PIM_REFUSED);
    assert_int_equal(rehash, 0);
    assert_int_equal(ops->password_hash(auth, NULL, "correct horse", 13, keep, &fresh, &err), PIM_OK);
    assert_int_equal(strncmp(fresh.text, "$argon2id$v=19$m=9000,t=2,p=2$", 30), 0);
    assert_int_equal(ops->reload(auth, as_before, 2, &err), PIM_OK);
    /* a vector of the reference implementation's own tests */
    assert_int_equal(password("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                              "password", &rehash),
                     PIM_OK);
    assert_int_equal(rehash, 1);
}

static void
stored_rubbish_matches_nothing(void **state)
{
    static const char *const hashes[] = {
        "x",
        "password",
        "$argon2i$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$argon2id$v=19$m=99999999999,t=2,p=1$c2FsdHNhbHQ$AAAA",
        "$argon2id$v=19$m=8388608,t=2,p=1$c2FsdHNhbHQ$AAAA",
        "$argon2id$v=19$m=4096,t=4294967295,p=1$c2FsdHNhbHQ$AAAA",
        "$argon2id$v=19$m=4096,t=2,p=17$c2FsdHNhbHQ$AAAA",
        "$argon2id$v=19$m=4096,t=2$c2FsdHNhbHQ$AAAA",
        "$argon2id$v=19$m=4096,t=2,p=1$",
        "$argon2id$v=19$m=4096,t=2,p=1$c2FsdHNhbHQ$",
        "$argon2id$v=16$m=4096,t=2,p=1$c2FsdHNhbHQ$AAAA",
        "$argon2id$m=4096,t=2,p=1$c2FsdHNhbHQ$AAAA",
        "hmac-md5$",
        "hmac-md5$XX",
        "5F4DCC3B5AA765D61D8327DEB882CF99",
    };
    int32_t rehash;

    (void)state;
    for (size_t i = 0; i < PIM_COUNT(hashes); i++)
        if (password(hashes[i], "password", &rehash) != PIM_ERR_CORRUPT)
            fail_msg("%s", hashes[i]);
    assert_int_equal(password("", "", &rehash), PIM_REFUSED); /* no account, no password: no */
}

static void
imported_hashes_are_verified_and_renewed(void **state)
{
    unsigned char mac[16];
    char hash[64] = "hmac-md5$";
    int32_t rehash = 0;

    (void)state;
    HMAC(EVP_md5(), "", 0, (const unsigned char *)"secret12pepper", 14, mac, NULL);
    for (size_t i = 0; i < sizeof mac; i++)
        sprintf(hash + 9 + 2 * i, "%02x", mac[i]);
    assert_int_equal(password(hash, "secret12", &rehash), PIM_OK);
    assert_int_equal(rehash, 1);
    assert_int_equal(password(hash + 9, "secret12", &rehash), PIM_OK);
    assert_int_equal(password(hash, "secret13", &rehash), PIM_REFUSED);
    assert_int_equal(password(hash, "secret12p", &rehash), PIM_REFUSED);
    assert_int_equal(rehash, 0);
}

/* A second instance with other options. */
static int
open_with(const struct pim_kv *opts, uint32_t n_opts, struct pim_err *err, struct pim_auth **out)
{
    uint64_t caps;

    *out = NULL;
    *err = PIM_ERR_INIT;
    return ops->open(pim_plugin_host(handle), opts, n_opts, out, &caps, err);
}

static void
the_key_file_is_made_once_and_kept_secret(void **state)
{
    struct pim_auth *other;
    struct pim_err err;
    struct stat st;
    char path[200], token[4200], body[2048];
    struct pim_kv opts[] = {{"secret_file", path}};
    struct claims c = claims_good();
    struct pim_subject subject = {.struct_size = sizeof subject};
    FILE *file;

    (void)state;
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 32);
    snprintf(path, sizeof path, "%s", key_path);
    assert_int_equal(open_with(opts, 1, &err, &other), PIM_OK); /* the same key: our token is good there */
    claims_json(body, &c);
    token_sign(token, HEAD, body, EVP_sha256(), key, sizeof key);
    assert_int_equal(ops->token_check(other, NULL, token, (uint32_t)strlen(token), "login", &subject, &err), PIM_OK);
    ops->close(&other);
    assert_null(other);
    for (int mode = 01; mode <= 040; mode <<= 1) {
        chmod(key_path, (mode_t)(0600 | mode));
        assert_int_equal(open_with(opts, 1, &err, &other), PIM_ERR_DENIED);
        assert_non_null(strstr(err.msg, "chmod 600"));
    }
    chmod(key_path, 0600);
    snprintf(path, sizeof path, "%s/short.key", dir);
    file = fopen(path, "w");
    fputs("0123456789012345678901234567890", file); /* 31 bytes */
    fclose(file);
    chmod(path, 0600);
    assert_int_equal(open_with(opts, 1, &err, &other), PIM_ERR_INVALID);
    assert_non_null(strstr(err.msg, "has 31 bytes"));
    snprintf(path, sizeof path, "%s/nowhere/x.key", dir);
    assert_int_equal(open_with(opts, 1, &err, &other), PIM_ERR_UNAVAILABLE);
    snprintf(path, sizeof path, "%s", dir);
    assert_int_equal(open_with(opts, 1, &err, &other), PIM_ERR_DENIED); /* a directory */
    snprintf(path, sizeof path, "%s/second.key", dir);
    assert_int_equal(open_with(opts, 1, &err, &other), PIM_OK);
    assert_int_equal(ops->token_check(other, NULL, token, (uint32_t)strlen(token), "login", &subject, &err),
                     PIM_REFUSED);
    /* without a salt no imported hash matches */
    assert_int_equal(ops->password_check(other, NULL, "74e6f7298a9c2d168935f58c001bad88", 32, "", 0, NULL, &err),
                     PIM_REFUSED);
    ops->close(&other);
}

static void
bad_options_are_refused(void **state)
{
    static char long_name[120];
    const struct pim_kv cases[] = {
        {"issuer", ""},       {"audience", ""},       {"issuer", long_name},
        {"token_life", "0"},  {"token_life", "x"},    {"argon2_memory", "64"},
        {"argon2_time", "0"}, {"argon2_lanes", "99"}, {"legacy_salt_file", "/nonexistent/salt"},
        {"secret_file", ""},
    };

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    for (size_t i = 0; i < PIM_COUNT(cases); i++) {
        struct pim_kv opts[] = {cases[i], {"secret_file", key_path}};
        struct pim_auth *other;
        struct pim_err err;

        if (open_with(opts, 2, &err, &other) >= 0 || err.msg[0] == '\0')
            fail_msg("%s = %s was taken", cases[i].name, cases[i].value);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_tokens_are_taken),
        cmocka_unit_test(bad_headers_are_refused),
        cmocka_unit_test(bad_claims_are_refused),
        cmocka_unit_test(bad_signatures_are_refused),
        cmocka_unit_test(bad_shapes_are_refused),
        cmocka_unit_test(tokens_we_make_are_ours),
        cmocka_unit_test(passwords_are_hashed_with_the_parameters_in_force),
        cmocka_unit_test(stored_rubbish_matches_nothing),
        cmocka_unit_test(imported_hashes_are_verified_and_renewed),
        cmocka_unit_test(the_key_file_is_made_once_and_kept_secret),
        cmocka_unit_test(bad_options_are_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
