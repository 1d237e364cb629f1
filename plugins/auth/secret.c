/* The key file: 32 random bytes, readable by the server alone. */
#include "auth_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096

static int32_t
fail_errno(struct pim_err *err, const char *path, const char *what)
{
    int saved = errno;

    auth_fail(err, PIM_ERR_UNAVAILABLE, "%.150s: %s: %s", path, what, strerror(saved));
    if (err != NULL)
        err->native_code = saved;
    return PIM_ERR_UNAVAILABLE;
}

static int
dir_sync(const char *path)
{
    char dir[PATH_BYTES];
    char *slash;
    int fd, rc;

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash == NULL)
        snprintf(dir, sizeof dir, ".");
    else
        slash[slash == dir ? 1 : 0] = '\0';
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    rc = fsync(fd);
    close(fd);
    return rc;
}

/* Under another name first, then linked: a crash leaves no short key, and of two servers that start at once one wins.
 */
static int32_t
secret_make(const char *path, struct pim_err *err)
{
    unsigned char key[AUTH_KEY_BYTES_MIN];
    char fresh[PATH_BYTES + 24];
    uint32_t nonce;
    int32_t rc = PIM_OK;
    int fd = -1;

    if (getrandom(key, sizeof key, 0) != sizeof key || getrandom(&nonce, sizeof nonce, 0) != sizeof nonce)
        return auth_fail(err, PIM_ERR_INTERNAL, "getrandom failed");
    snprintf(fresh, sizeof fresh, "%s.new-%08x", path, (unsigned)nonce);
    fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_errno(err, path, "cannot make the key file");
    if (write(fd, key, sizeof key) != sizeof key || fsync(fd) != 0)
        rc = fail_errno(err, path, "cannot write the key");
    if (rc == PIM_OK && link(fresh, path) != 0 && errno != EEXIST)
        rc = fail_errno(err, path, "cannot make the key file");
    close(fd);
    unlink(fresh);
    if (rc == PIM_OK && dir_sync(path) != 0)
        rc = fail_errno(err, path, "cannot make its directory durable");
    explicit_bzero(key, sizeof key);
    return rc;
}

static int32_t
secret_read(const char *path, int fd, unsigned char key[AUTH_KEY_BYTES_MAX], size_t *out_len, struct pim_err *err)
{
    struct stat st;
    ssize_t n;

    if (fstat(fd, &st) != 0)
        return fail_errno(err, path, "cannot look at the key file");
    if (!S_ISREG(st.st_mode) || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return auth_fail(err, PIM_ERR_DENIED,
                         "%.150s: group or others have access (mode %04o) to the key that signs tokens; "
                         "chmod 600 it",
                         path, (unsigned)(st.st_mode & 07777));
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return auth_fail(err, PIM_ERR_DENIED, "%.150s: the key that signs tokens belongs to user %u", path,
                         (unsigned)st.st_uid);
    n = read(fd, key, AUTH_KEY_BYTES_MAX);
    if (n < 0)
        return fail_errno(err, path, "cannot read the key");
    if (n < AUTH_KEY_BYTES_MIN)
        return auth_fail(err, PIM_ERR_INVALID,
                         "%.150s: the key that signs tokens has %zd bytes, at least %d are needed; remove "
                         "the file and a new one is made (all sessions end)",
                         path, n, AUTH_KEY_BYTES_MIN);
    *out_len = (size_t)n;
    return PIM_OK;
}

int32_t
auth_secret_load(const char *path, unsigned char key[AUTH_KEY_BYTES_MAX], size_t *out_len, struct pim_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int32_t rc;

    if (fd < 0 && errno == ENOENT) {
        rc = secret_make(path, err);
        if (rc != PIM_OK)
            return rc;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    }
    if (fd < 0)
        return fail_errno(err, path, "cannot open the key file");
    rc = secret_read(path, fd, key, out_len, err);
    close(fd);
    return rc;
}

long
auth_file_read(const char *path, void *dst, size_t dst_bytes, struct pim_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0) {
        fail_errno(err, path, "cannot open");
        return -1;
    }
    n = read(fd, dst, dst_bytes);
    if (n < 0)
        fail_errno(err, path, "cannot read");
    close(fd);
    return n;
}
