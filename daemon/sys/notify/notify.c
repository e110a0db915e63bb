/* notify: see notify.h. */
#include "sys/notify/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/text.h"

enum { TEXT_MAX = 1024 };

static int send_text(const char *path, const char *text, size_t len)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t path_len = strlen(path);
	CLEANUP(close_p) int fd = -1;

	/* A path, or a name in the abstract namespace. */
	if ((path[0] != '/' && path[0] != '@') || path_len < 2 ||
		path_len > sizeof(address.sun_path))
		return -EINVAL;
	memcpy(address.sun_path, path, path_len);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, text, len, MSG_NOSIGNAL, (struct sockaddr *) &address,
		    (socklen_t) (offsetof(struct sockaddr_un, sun_path) + path_len)) < 0)
		return -errno;
	return 1;
}

int notify_status(const char *format, ...)
{
	char text[TEXT_MAX - sizeof("STATUS=")], clean[sizeof(text)];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	(void) text_clean(text, strlen(text), TEXT_LINE, clean, sizeof(clean));
	return notify_send("STATUS=%s", clean);
}

int notify_send(const char *format, ...)
{
	const char *path = getenv("NOTIFY_SOCKET");
	char text[TEXT_MAX];
	va_list ap;
	int n;

	if (!path || !path[0])
		return 0;
	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	return send_text(path, text, (size_t) n < sizeof(text) ? (size_t) n : sizeof(text) - 1);
}
