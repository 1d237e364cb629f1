/* What C lacks for the sample client: one HTTP request, and a WebSocket on a blocking socket. Plain TCP only. */
#ifndef EXAMPLE_WS_H
#define EXAMPLE_WS_H

#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* Connects and sends the text; -1 if there is nobody. */
static int __attribute__((format(printf, 3, 4)))
net_request(const char *host, const char *port, const char *format, ...)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *to = NULL;
    va_list args;
    int fd = -1;

    if (getaddrinfo(host, port, &hints, &to) != 0)
        return -1;
    fd = socket(to->ai_family, SOCK_STREAM, 0);
    if (fd >= 0 && connect(fd, to->ai_addr, to->ai_addrlen) != 0) {
        close(fd);
        fd = -1;
    }
    freeaddrinfo(to);
    va_start(args, format);
    if (fd >= 0)
        vdprintf(fd, format, args);
    va_end(args);
    return fd;
}

/* One masked frame of up to 65535 bytes. A failure shows at the next read. */
static void
ws_send(int fd, int opcode, const char *data, size_t len)
{
    unsigned char out[65536 + 8] = {0x80 | opcode, 0x80 | (len < 126 ? len : 126), len >> 8, len};
    unsigned char *mask = out + (len < 126 ? 2 : 4);

    if (len > 65535 || getrandom(mask, 4, 0) != 4)
        return;
    for (size_t i = 0; i < len; i++)
        mask[4 + i] = data[i] ^ mask[i % 4];
    send(fd, out, mask + 4 + len - out, MSG_NOSIGNAL);
}

/* Posts JSON; the answer's body, the caller's, empty if there is none. */
static char *
net_post(const char *host, const char *port, const char *path, const char *json)
{
    char *answer = calloc(1, 65536), *body;
    ssize_t n, len = 0;
    int fd = net_request(host, port, "POST %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n%s", path, host, port, strlen(json), json);

    while (answer && len < 65535 && (n = read(fd, answer + len, 65535 - len)) > 0)
        len += n;
    close(fd);
    body = answer ? strstr(answer, "\r\n\r\n") : NULL;
    body = strdup(body ? body + 4 : "");
    free(answer);
    return body;
}

/* A socket and the status of the answer to the upgrade: 101, or 0 if none came. */
static int
ws_connect(const char *host, const char *port, const char *token, int *out_status)
{
    char head[8192] = "";
    size_t len = 0;
    int fd = net_request(host, port, "GET / HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: bm90IGEgc2VjcmV0IGtleQ==\r\n"
                         "Sec-WebSocket-Protocol: privateim.v1\r\nAuthorization: Bearer %s\r\n\r\n",
                         host, port, token);

    *out_status = 0;
    /* byte by byte: frames may follow at once */
    while (len < sizeof head - 1 && recv(fd, head + len, 1, 0) == 1)
        if (++len >= 4 && memcmp(head + len - 4, "\r\n\r\n", 4) == 0)
            break;
    sscanf(head, "HTTP/1.1 %d", out_status);
    return fd;
}

/* The next text, NUL-terminated, the caller's; NULL when the connection is over, *out_code then says why (1006: broken)
 * and reason what the server said. Answers pings. Blocks. */
static char *
ws_recv(int fd, int *out_code, char reason[126])
{
    char *text = NULL;
    size_t have = 0;
    int code = 1006;

    for (;;) {
        unsigned char head[10];
        if (recv(fd, head, 2, MSG_WAITALL) != 2)
            break;
        size_t len = head[1] & 127, ext = len == 126 ? 2 : len == 127 ? 8 : 0;
        if (ext && recv(fd, head + 2, ext, MSG_WAITALL) != (ssize_t)ext)
            break;
        if (ext)
            len = 0;
        for (size_t i = 0; i < ext; i++)
            len = len << 8 | head[2 + i];
        if (len > 1 << 26)
            break;
        int control = head[0] & 8;
        char small[126], *at = small;
        if (!control) {
            text = realloc(text, have + len + 1);
            at = text + have;
        }
        if ((control && len > 125) || (len && recv(fd, at, len, MSG_WAITALL) != (ssize_t)len))
            break;
        at[len] = 0;
        if ((head[0] & 15) == 9)
            ws_send(fd, 10, small, len);
        if ((head[0] & 15) == 8) {
            code = len < 2 ? 1005 : (unsigned char)small[0] << 8 | (unsigned char)small[1];
            snprintf(reason, 126, "%s", len > 2 ? small + 2 : "");
            break;
        }
        have += control ? 0 : len;
        if (!control && head[0] & 0x80)
            return text;
    }
    free(text);
    *out_code = code;
    return NULL;
}

#endif
