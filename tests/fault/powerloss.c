/* powerloss.so (LD_PRELOAD): writes down, in order, every change to the files below $PIM_POWER_DIR, so that power.py can build what
 * a disk may hold after the power went: all that was synced, and any part of the rest.
 *
 * $PIM_POWER_LOG gets one record for each change that has succeeded: struct record, then the path, then the data. Native
 * byte order. The clock is CLOCK_MONOTONIC in microseconds, taken before the call: a cut at that time is before it.
 *
 * It can also play a disk in need: while the file $PIM_POWER_FULL exists, writes and growth answer ENOSPC; the sync number
 * $PIM_POWER_SYNC_EIO (and each after it) answers EIO. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { OP_CREATE = 1, OP_WRITE, OP_TRUNCATE, OP_SYNC, OP_RENAME, OP_UNLINK, OP_LINK };

struct record {
    uint32_t op, path_len;
    int64_t time_us, offset;
    uint64_t data_len;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char dir[PATH_MAX];
static const char *full_file;
static long eio_from, n_syncs; /* eio_from 0: never */

#define REAL(name, type, ...)                                                                                          \
    static type (*real)(__VA_ARGS__);                                                                                  \
    if (real == NULL)                                                                                                  \
    *(void **)&real = dlsym(RTLD_NEXT, name)

static int64_t
now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

__attribute__((constructor)) static void
begin(void)
{
    const char *log = getenv("PIM_POWER_LOG"), *where = getenv("PIM_POWER_DIR");

    if (log == NULL || where == NULL || realpath(where, dir) == NULL)
        return;
    full_file = getenv("PIM_POWER_FULL");
    if (getenv("PIM_POWER_SYNC_EIO") != NULL)
        eio_from = atol(getenv("PIM_POWER_SYNC_EIO"));
    log_fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int
is_full(void)
{
    if (full_file == NULL || access(full_file, F_OK) != 0)
        return 0;
    errno = ENOSPC;
    return 1;
}

/* Is it one of ours? The path behind the directory, or NULL. */
static const char *
ours(const char *path)
{
    size_t len = strlen(dir);

    if (log_fd < 0 || strncmp(path, dir, len) != 0 || path[len] != '/')
        return NULL;
    return path + len + 1;
}

static const char *
ours_fd(int fd, char path[PATH_MAX])
{
    char link[64];
    ssize_t n;

    if (log_fd < 0)
        return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    return ours(path);
}

static void
put(const void *data, size_t len)
{
    static ssize_t (*real)(int, const void *, size_t);
    const char *at = data;

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "write");
    while (len > 0) {
        ssize_t n = real(log_fd, at, len);

        if (n <= 0)
            abort(); /* a journal with a hole proves nothing */
        at += n;
        len -= (size_t)n;
    }
}

static void
record(uint32_t op, const char *path, int64_t time_us, int64_t offset, const void *data, size_t data_len)
{
    struct record r = {.op = op, .path_len = (uint32_t)strlen(path), .time_us = time_us, .offset = offset, .data_len = data_len};

    put(&r, sizeof r);
    put(path, r.path_len);
    put(data, data_len);
}

/* The change itself happens under the lock: the journal's order is the order of the changes. */
#define UNDER_LOCK(expression)                                                                                         \
    do {                                                                                                               \
        int saved;                                                                                                     \
        pthread_mutex_lock(&lock);                                                                                     \
        time_us = now_us();                                                                                            \
        expression;                                                                                                    \
        saved = errno;                                                                                                 \
        pthread_mutex_unlock(&lock);                                                                                   \
        errno = saved;                                                                                                 \
    } while (0)

/* --- opening ------------------------------------------------------------------------------------------------------------ */

static int
opened(int (*real)(int, const char *, int, ...), int at, const char *path, int flags, mode_t mode)
{
    char now[PATH_MAX];
    const char *name;
    struct stat st;
    int64_t time_us;
    int fd, was_there = fstatat(at, path, &st, 0) == 0;

    UNDER_LOCK({
        fd = real(at, path, flags, mode);
        if (fd >= 0 && (flags & O_CREAT) && (name = ours_fd(fd, now)) != NULL) {
            if (!was_there)
                record(OP_CREATE, name, time_us, 0, NULL, 0);
            else if (flags & O_TRUNC)
                record(OP_TRUNCATE, name, time_us, 0, NULL, 0);
        }
    });
    return fd;
}

#define OPEN(name, at_arg, at)                                                                                         \
    {                                                                                                                  \
        mode_t mode = 0;                                                                                               \
        va_list ap;                                                                                                    \
        REAL(at_arg, int, int, const char *, int, ...);                                                                \
        va_start(ap, flags);                                                                                           \
        if (flags & O_CREAT)                                                                                           \
            mode = va_arg(ap, mode_t);                                                                                 \
        va_end(ap);                                                                                                    \
        return opened(real, at, path, flags, mode);                                                                    \
    }

int open(const char *path, int flags, ...) OPEN("open", "openat", AT_FDCWD)
int open64(const char *path, int flags, ...) OPEN("open64", "openat64", AT_FDCWD)
int openat(int dirfd, const char *path, int flags, ...) OPEN("openat", "openat", dirfd)
int openat64(int dirfd, const char *path, int flags, ...) OPEN("openat64", "openat64", dirfd)

/* --- writing ------------------------------------------------------------------------------------------------------------ */

ssize_t
write(int fd, const void *data, size_t len)
{
    REAL("write", ssize_t, int, const void *, size_t);
    char path[PATH_MAX];
    const char *name = ours_fd(fd, path);
    int64_t time_us;
    ssize_t n;

    if (name == NULL)
        return real(fd, data, len);
    if (is_full())
        return -1;
    UNDER_LOCK({
        n = real(fd, data, len);
        if (n > 0)
            record(OP_WRITE, name, time_us, lseek(fd, 0, SEEK_CUR) - n, data, (size_t)n);
    });
    return n;
}

#define PWRITE(symbol)                                                                                                 \
    ssize_t symbol(int fd, const void *data, size_t len, off_t offset)                                                 \
    {                                                                                                                  \
        REAL(#symbol, ssize_t, int, const void *, size_t, off_t);                                                      \
        char path[PATH_MAX];                                                                                           \
        const char *name = ours_fd(fd, path);                                                                          \
        int64_t time_us;                                                                                               \
        ssize_t n;                                                                                                     \
                                                                                                                       \
        if (name == NULL)                                                                                              \
            return real(fd, data, len, offset);                                                                        \
        if (is_full())                                                                                                 \
            return -1;                                                                                                 \
        UNDER_LOCK({                                                                                                   \
            n = real(fd, data, len, offset);                                                                           \
            if (n > 0)                                                                                                 \
                record(OP_WRITE, name, time_us, offset, data, (size_t)n);                                              \
        });                                                                                                            \
        return n;                                                                                                      \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(symbol)                                                                                               \
    int symbol(int fd, off_t size)                                                                                     \
    {                                                                                                                  \
        REAL(#symbol, int, int, off_t);                                                                                \
        char path[PATH_MAX];                                                                                           \
        const char *name = ours_fd(fd, path);                                                                          \
        int64_t time_us;                                                                                               \
        int rc;                                                                                                        \
                                                                                                                       \
        if (name == NULL)                                                                                              \
            return real(fd, size);                                                                                     \
        UNDER_LOCK({                                                                                                   \
            rc = real(fd, size);                                                                                       \
            if (rc == 0)                                                                                               \
                record(OP_TRUNCATE, name, time_us, size, NULL, 0);                                                     \
        });                                                                                                            \
        return rc;                                                                                                     \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

/* --- syncing ------------------------------------------------------------------------------------------------------------ */

/* What was written before the call is safe when it has returned; the record stands there. A file that one thread syncs while
 * another writes it would be promised too much: SQLite's writer does both itself. */
#define SYNC(symbol)                                                                                                   \
    int symbol(int fd)                                                                                                 \
    {                                                                                                                  \
        REAL(#symbol, int, int);                                                                                       \
        char path[PATH_MAX];                                                                                           \
        const char *name = ours_fd(fd, path);                                                                          \
        int64_t time_us;                                                                                               \
                                                                                                                       \
        if (name == NULL)                                                                                              \
            return real(fd);                                                                                           \
        if (eio_from > 0 && __atomic_add_fetch(&n_syncs, 1, __ATOMIC_RELAXED) >= eio_from) {                            \
            errno = EIO;                                                                                               \
            return -1;                                                                                                 \
        }                                                                                                              \
        if (real(fd) != 0)                                                                                             \
            return -1;                                                                                                 \
        UNDER_LOCK(record(OP_SYNC, name, time_us, 0, NULL, 0));                                                        \
        return 0;                                                                                                      \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TWO_NAMES(symbol, op)                                                                                          \
    int symbol(const char *from, const char *to)                                                                       \
    {                                                                                                                  \
        REAL(#symbol, int, const char *, const char *);                                                                \
        const char *name = ours(from), *new_name = ours(to);                                                           \
        int64_t time_us;                                                                                               \
        int rc;                                                                                                        \
                                                                                                                       \
        if (name == NULL || new_name == NULL)                                                                          \
            return real(from, to);                                                                                     \
        UNDER_LOCK({                                                                                                   \
            rc = real(from, to);                                                                                       \
            if (rc == 0)                                                                                               \
                record(op, name, time_us, 0, new_name, strlen(new_name));                                              \
        });                                                                                                            \
        return rc;                                                                                                     \
    }
TWO_NAMES(rename, OP_RENAME)
TWO_NAMES(link, OP_LINK)

int
unlink(const char *path)
{
    REAL("unlink", int, const char *);
    const char *name = ours(path);
    int64_t time_us;
    int rc;

    if (name == NULL)
        return real(path);
    UNDER_LOCK({
        rc = real(path);
        if (rc == 0)
            record(OP_UNLINK, name, time_us, 0, NULL, 0);
    });
    return rc;
}
