#include "http/handover.h"

#include "util/mem.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <unistd.h>

struct move {
    struct pim_http *http;
    void *ticket;
    SSL *ssl;
    int fd;
    size_t early_len;
    char early[];
};

static void
move_finish(evutil_socket_t fd, short what, void *arg)
{
    struct move *move = arg;

    (void)fd;
    (void)what;
    if (move->ssl != NULL && SSL_set_fd(move->ssl, move->fd) != 1)
        abort();
    move->http->ws->adopt(move->http->ws->ctx, move->ticket, move->fd, move->ssl, move->early, move->early_len);
    atomic_fetch_sub(&move->http->in_flight, 1);
    free(move);
}

void
pim_http_handover(struct pim_http *http, struct event_base *base, struct bufferevent *bev, SSL *ssl,
                  struct evbuffer *early, void *ticket)
{
    static const struct timeval now = {0, 0};
    size_t early_len = evbuffer_get_length(early);
    struct move *move = pim_new0(sizeof *move + early_len);

    move->http = http;
    move->ticket = ticket;
    move->fd = bufferevent_getfd(bev);
    move->early_len = early_len;
    evbuffer_remove(early, move->early, early_len);
    if (ssl == NULL) {
        bufferevent_setfd(bev, -1);
        bufferevent_free(bev);
        move_finish(-1, 0, move);
        return;
    }
    /* The bufferevent's destructor, which runs later in this turn, drops one reference and closes the descriptor that it
     * finds in the SSL: it gets a duplicate. A turn later the SSL takes its own descriptor back. */
    SSL_up_ref(ssl);
    SSL_set_app_data(ssl, NULL);
    if (SSL_set_fd(ssl, dup(move->fd)) != 1)
        abort();
    move->ssl = ssl;
    bufferevent_free(bev);
    event_base_once(base, -1, EV_TIMEOUT, move_finish, move, &now);
}
