/* auth/auth_priv.h - what the files of this plugin share.
 *
 * auth.c is the plugin: options, open, close, reload. secret.c makes and reads the key file, password.c hashes, token.c
 * makes and checks tokens, token_parse.c reads what strangers send before any library sees it. */
#ifndef PIM_AUTH_PRIV_H
#define PIM_AUTH_PRIV_H
#include <privateim/auth.h>

#include <stdatomic.h>
#include <stdbool.h>

#define AUTH_KEY_BYTES_MIN 32
#define AUTH_KEY_BYTES_MAX 1024
#define AUTH_SALT_BYTES_MAX 256

/* Made by open on the main thread; read-only afterwards but for what reload stores. */
struct pim_auth {
    const struct pim_host *host;
    unsigned char key[AUTH_KEY_BYTES_MAX];
    size_t key_len;
    char issuer[104], audience[104];
    char legacy_salt[AUTH_SALT_BYTES_MAX];
    size_t legacy_salt_len;
    bool legacy; /* legacy_salt is set */
    _Atomic int64_t token_life_s;
    _Atomic uint32_t memory_kib, time, lanes;
};

/** Write a failure's sentence; @return code. */
int32_t auth_fail(struct pim_err *err, int32_t code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/**
 * Read the key file, after making it where there is none.
 *
 * @return PIM_OK, or PIM_ERR_DENIED when others could read it, or another failure
 */
int32_t auth_secret_load(const char *path, unsigned char key[AUTH_KEY_BYTES_MAX], size_t *out_len, struct pim_err *err);
/** Read a whole small file. @return bytes read, or -1 with errno. */
long auth_file_read(const char *path, void *dst, size_t dst_bytes, struct pim_err *err);

int32_t auth_password_hash(struct pim_auth *auth, const struct pim_call *call, const char *password,
                           uint32_t password_len, pim_text2_fn put, void *ctx, struct pim_err *err);
int32_t auth_password_check(struct pim_auth *auth, const struct pim_call *call, const char *hash, uint32_t hash_len,
                            const char *password, uint32_t password_len, int32_t *out_rehash, struct pim_err *err);
int32_t auth_token_make(struct pim_auth *auth, const struct pim_call *call, const struct pim_subject *subject,
                        const char *purpose, pim_text2_fn put, void *ctx, struct pim_err *err);
int32_t auth_token_check(struct pim_auth *auth, const struct pim_call *call, const char *token, uint32_t token_len,
                         const char *purpose, struct pim_subject *out_subject, struct pim_err *err);

#endif
