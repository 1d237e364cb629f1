#include "net/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

static void
on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct pim_mailbox *box = arg;
    struct pim_mail_list mails = STAILQ_HEAD_INITIALIZER(mails);
    uint64_t count;

    (void)what;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&box->lock);
    STAILQ_CONCAT(&mails, &box->mails);
    box->count = 0;
    pthread_mutex_unlock(&box->lock);
    if (!STAILQ_EMPTY(&mails))
        box->on_mails(box->ctx, &mails);
}

int
pim_mailbox_init(struct pim_mailbox *box, struct event_base *base, pim_mailbox_fn on_mails, void *ctx, size_t max_count)
{
    pthread_condattr_t attr;

    *box = (struct pim_mailbox){.wake_fd = -1, .on_mails = on_mails, .ctx = ctx, .max_count = max_count};
    STAILQ_INIT(&box->mails);
    pthread_mutex_init(&box->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&box->more, &attr);
    pthread_condattr_destroy(&attr);
    if (base == NULL)
        return PIM_OK;
    box->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->wake_fd < 0)
        return PIM_ERR_INTERNAL;
    box->wake_event = event_new(base, box->wake_fd, EV_READ | EV_PERSIST, on_wake, box);
    if (box->wake_event == NULL || event_add(box->wake_event, NULL) < 0) {
        pim_mailbox_fini(box);
        return PIM_ERR_INTERNAL;
    }
    return PIM_OK;
}

void
pim_mailbox_fini(struct pim_mailbox *box)
{
    if (box->wake_event != NULL)
        event_free(box->wake_event);
    if (box->wake_fd >= 0)
        close(box->wake_fd);
    box->wake_event = NULL;
    box->wake_fd = -1;
    pthread_cond_destroy(&box->more);
    pthread_mutex_destroy(&box->lock);
}

static void
wake(struct pim_mailbox *box)
{
    uint64_t one = 1;

    while (write(box->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static int
post_list(struct pim_mailbox *box, struct pim_mail_list *mails, size_t count, bool always)
{
    bool wake_fd = false;
    int rc = PIM_OK;

    pthread_mutex_lock(&box->lock);
    if (box->closed) {
        rc = PIM_ERR_UNAVAILABLE;
    } else if (!always && box->max_count > 0 && box->count + count > box->max_count) {
        rc = PIM_ERR_FULL;
    } else {
        wake_fd = box->wake_fd >= 0 && box->count == 0;
        STAILQ_CONCAT(&box->mails, mails);
        box->count += count;
        if (box->waiting)
            pthread_cond_signal(&box->more);
        /* under the lock: once it is released the receiver may take the mail and end, box and all */
        if (wake_fd)
            wake(box);
    }
    pthread_mutex_unlock(&box->lock);
    return rc;
}

int
pim_mailbox_post_list(struct pim_mailbox *box, struct pim_mail_list *mails, size_t count)
{
    return count == 0 ? PIM_OK : post_list(box, mails, count, false);
}

static int
post_one(struct pim_mailbox *box, struct pim_mail *mail, bool always)
{
    struct pim_mail_list one = STAILQ_HEAD_INITIALIZER(one);

    STAILQ_INSERT_TAIL(&one, mail, link);
    return post_list(box, &one, 1, always);
}

int
pim_mailbox_post(struct pim_mailbox *box, struct pim_mail *mail)
{
    return post_one(box, mail, false);
}

int
pim_mailbox_post_always(struct pim_mailbox *box, struct pim_mail *mail)
{
    return post_one(box, mail, true);
}

size_t
pim_mailbox_wait(struct pim_mailbox *box, struct pim_mail_list *out, int timeout_ms)
{
    struct timespec until;
    size_t count;

    STAILQ_INIT(out);
    if (timeout_ms > 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_nsec -= 1000000000;
            until.tv_sec++;
        }
    }
    pthread_mutex_lock(&box->lock);
    while (box->count == 0 && !box->closed && timeout_ms != 0) {
        int rc;

        box->waiting = true;
        if (timeout_ms < 0)
            rc = pthread_cond_wait(&box->more, &box->lock);
        else
            rc = pthread_cond_timedwait(&box->more, &box->lock, &until);
        box->waiting = false;
        if (rc == ETIMEDOUT)
            break;
    }
    STAILQ_CONCAT(out, &box->mails);
    count = box->count;
    box->count = 0;
    pthread_mutex_unlock(&box->lock);
    return count;
}

void
pim_mailbox_close(struct pim_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    pthread_cond_broadcast(&box->more);
    if (box->wake_fd >= 0)
        wake(box);
    pthread_mutex_unlock(&box->lock);
}

bool
pim_mailbox_is_done(struct pim_mailbox *box)
{
    bool done;

    pthread_mutex_lock(&box->lock);
    done = box->closed && box->count == 0;
    pthread_mutex_unlock(&box->lock);
    return done;
}

size_t
pim_mailbox_count(struct pim_mailbox *box)
{
    size_t count;

    pthread_mutex_lock(&box->lock);
    count = box->count;
    pthread_mutex_unlock(&box->lock);
    return count;
}
