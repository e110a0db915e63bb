/*
 * notify: words to the service manager (sd_notify(3)) that are never waited for: libsystemd's waits
 * while the manager's queue is full, so a frozen PID 1 would after a while stop every daemon that
 * tells it how it is.
 */
#pragma once

#include <stdint.h>

/*
 * Sends "READY=1", "STATUS=...", several lines with newlines between them; at most 1000 bytes. 1:
 * sent, 0: nobody asked ($NOTIFY_SOCKET), -EAGAIN: the queue is full, say it again later; another
 * -errno.
 */
int notify_send(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* "STATUS=...": one line, in which words of others may be; none of them becomes a line of ours. */
int notify_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
