#include "util/log.h"

#include "util/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024
#define RING_LINES 64 /* a power of two */

/* Written by its thread, read by the log thread; never freed, so a thread that ended leaves nothing dangling. */
struct ring {
    struct ring *next;
    _Atomic uint32_t head, tail; /* lines written, lines read */
    _Atomic bool in_use;
    char lines[RING_LINES][LINE_BYTES];
};

static struct {
    pthread_mutex_t lock; /* guards the list and the condition, never held while writing to the sink */
    pthread_cond_t wake;
    struct ring *rings;
    pthread_t thread;
    _Atomic bool running;
    _Atomic int level;
    _Atomic uint64_t dropped;
    bool journal; /* set before the thread starts */
} logger = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .level = PIM_LOG_INFO};

static pthread_key_t ring_key;
static pthread_once_t ring_once = PTHREAD_ONCE_INIT;

static void
ring_release(void *arg)
{
    atomic_store(&((struct ring *)arg)->in_use, false);
}

static void
ring_key_make(void)
{
    pthread_key_create(&ring_key, ring_release);
}

static struct ring *
ring_mine(void)
{
    struct ring *ring;

    pthread_once(&ring_once, ring_key_make);
    ring = pthread_getspecific(ring_key);
    if (ring != NULL)
        return ring;
    pthread_mutex_lock(&logger.lock);
    for (ring = logger.rings; ring != NULL; ring = ring->next) {
        bool expected = false;

        if (atomic_compare_exchange_strong(&ring->in_use, &expected, true))
            break;
    }
    if (ring == NULL) {
        ring = pim_new0(sizeof *ring);
        atomic_store(&ring->in_use, true);
        ring->next = logger.rings;
        logger.rings = ring;
    }
    pthread_mutex_unlock(&logger.lock);
    pthread_setspecific(ring_key, ring);
    return ring;
}

static void
sink_write(const char *line)
{
    size_t len = strlen(line);

    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, line, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to say it */
        line += n;
        len -= (size_t)n;
    }
}

static bool
drain_once(void)
{
    struct ring *ring;
    bool any = false;

    pthread_mutex_lock(&logger.lock);
    ring = logger.rings;
    pthread_mutex_unlock(&logger.lock);
    for (; ring != NULL; ring = ring->next) {
        uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

        while (tail != atomic_load_explicit(&ring->head, memory_order_acquire)) {
            sink_write(ring->lines[tail % RING_LINES]);
            atomic_store_explicit(&ring->tail, ++tail, memory_order_release);
            any = true;
        }
    }
    return any;
}

static void *
log_main(void *arg)
{
    uint64_t told = 0;

    (void)arg;
    pthread_setname_np(pthread_self(), "pim-log");
    for (;;) {
        bool running = atomic_load(&logger.running);
        bool any = drain_once();
        uint64_t dropped = atomic_load(&logger.dropped);

        if (dropped != told) {
            char line[96];

            snprintf(line, sizeof line, "%swarning: %llu log lines dropped\n", logger.journal ? "<4>" : "",
                     (unsigned long long)(dropped - told));
            sink_write(line);
            told = dropped;
        }
        if (any)
            continue;
        if (!running)
            return NULL;
        pthread_mutex_lock(&logger.lock);
        if (atomic_load(&logger.running)) {
            struct timespec until;

            /* writers do not wake us under a lock of theirs: look again soon */
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 50000000;
            if (until.tv_nsec >= 1000000000) {
                until.tv_nsec -= 1000000000;
                until.tv_sec++;
            }
            pthread_cond_timedwait(&logger.wake, &logger.lock, &until);
        }
        pthread_mutex_unlock(&logger.lock);
    }
}

void
pim_log_start(void)
{
    if (atomic_exchange(&logger.running, true))
        return;
    logger.journal = getenv("JOURNAL_STREAM") != NULL;
    if (pthread_create(&logger.thread, NULL, log_main, NULL) != 0)
        atomic_store(&logger.running, false); /* lines go out at once instead */
}

void
pim_log_stop(void)
{
    pthread_mutex_lock(&logger.lock);
    if (!atomic_exchange(&logger.running, false)) {
        pthread_mutex_unlock(&logger.lock);
        return;
    }
    pthread_cond_signal(&logger.wake);
    pthread_mutex_unlock(&logger.lock);
    pthread_join(logger.thread, NULL);
}

void
pim_log_level_set(enum pim_log_level level)
{
    atomic_store(&logger.level, (int)level);
}

enum pim_log_level
pim_log_level_get(void)
{
    return (enum pim_log_level)atomic_load(&logger.level);
}

static const char *const level_names[] = {[PIM_LOG_ERR] = "error",
                                          [PIM_LOG_WARNING] = "warning",
                                          [PIM_LOG_NOTICE] = "notice",
                                          [PIM_LOG_INFO] = "info",
                                          [PIM_LOG_DEBUG] = "debug"};

int
pim_log_level_parse(const char *name)
{
    for (int i = PIM_LOG_ERR; i <= PIM_LOG_DEBUG; i++)
        if (strcasecmp(name, level_names[i]) == 0)
            return i;
    return -1;
}

uint64_t
pim_log_dropped(void)
{
    return atomic_load(&logger.dropped);
}

/* Bytes of others cannot begin a new line or drive a terminal. */
static void
line_make(char line[LINE_BYTES], int level, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    size_t at = 0;

    if (logger.journal) {
        at = (size_t)snprintf(line, LINE_BYTES, "<%d>", level);
    } else {
        struct timespec ts;
        struct tm tm;

        clock_gettime(CLOCK_REALTIME, &ts);
        gmtime_r(&ts.tv_sec, &tm);
        at = strftime(line, LINE_BYTES, "%Y-%m-%dT%H:%M:%S", &tm);
        at += (size_t)snprintf(line + at, LINE_BYTES - at, ".%03ldZ %s: ", ts.tv_nsec / 1000000,
                               level_names[level]);
    }
    for (; *text != '\0' && at < LINE_BYTES - 6; text++) {
        unsigned char c = (unsigned char)*text;

        if (c >= 0x20 && c != 0x7f) {
            line[at++] = (char)c;
        } else {
            line[at++] = '\\';
            line[at++] = 'x';
            line[at++] = hex[c >> 4];
            line[at++] = hex[c & 15];
        }
    }
    line[at++] = '\n';
    line[at] = '\0';
}

void
pim_log(enum pim_log_level level, const char *fmt, ...)
{
    char text[LINE_BYTES], line[LINE_BYTES];
    va_list ap;

    if ((int)level > atomic_load_explicit(&logger.level, memory_order_relaxed))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!atomic_load(&logger.running)) {
        line_make(line, (int)level, text);
        sink_write(line);
    } else {
        struct ring *ring = ring_mine();
        uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

        if (head - atomic_load_explicit(&ring->tail, memory_order_acquire) == RING_LINES) {
            atomic_fetch_add(&logger.dropped, 1);
            return;
        }
        line_make(ring->lines[head % RING_LINES], (int)level, text);
        atomic_store_explicit(&ring->head, head + 1, memory_order_release);
    }
}
