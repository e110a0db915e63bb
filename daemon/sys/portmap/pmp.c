/*
 * pmp: see pmp.h. libnatpmp would send again by itself when it is asked for answers; it is asked
 * only when something has come.
 */
#include "sys/portmap/pmp.h"

#include <errno.h>
#include <natpmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"

enum { ANSWERS_AT_ONCE = 16 }; /* of a gateway that floods us; then whoever else waits */

struct pmp {
	sd_event *event;
	struct pmp_way way;
	const struct pmp_hooks *hooks;
	void *ctx;

	int fd; /* of PCP, -1: not open */
	sd_event_source *io;
	struct pcp_request request; /* the last */

	natpmp_t natpmp;
	bool natpmp_open;
	sd_event_source *natpmp_io;
	uint16_t port; /* that it was asked for; 0: for the address */
};

struct pmp *pmp_new(
	sd_event *event, const struct pmp_way *way, const struct pmp_hooks *hooks, void *ctx)
{
	struct pmp *p = calloc(1, sizeof(*p));

	if (p)
		*p = (struct pmp){
			.event = event, .way = *way, .hooks = hooks, .ctx = ctx, .fd = -1
		};
	return p;
}

struct pmp *pmp_free(struct pmp *p)
{
	if (!p)
		return NULL;
	(void) sd_event_source_disable_unref(p->io);
	(void) sd_event_source_disable_unref(p->natpmp_io);
	close_p(&p->fd);
	if (p->natpmp_open)
		(void) closenatpmp(&p->natpmp);
	free(p);
	return NULL;
}

/* --- PCP --- */

static void take_pcp(struct pmp *p, const uint8_t *data, size_t len)
{
	struct pcp_answer answer;
	int r = pcp_answer_parse(data, len, &answer);

	if (r == -EPROTONOSUPPORT)
		p->hooks->pcp(p->ctx, NULL, r);
	else if (r == 0 && pcp_answers(&answer, &p->request))
		p->hooks->pcp(p->ctx, &answer, 0);
}

static int on_pcp(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct pmp *p = ctx;

	for (int i = 0; i < ANSWERS_AT_ONCE; i++) {
		uint8_t data[PCP_MAX_LEN + 1]; /* one more: what is too long shows */
		ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

		if (n >= 0)
			take_pcp(p, data, (size_t) n);
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			p->hooks->pcp(p->ctx, NULL, -errno);
	}
	return 0;
}

/* From the address that is mapped, or the gateway refuses it (RFC 6887, 8.1). */
static int open_pcp(struct pmp *p)
{
	CLEANUP(close_p) int fd = -1;
	struct sockaddr_storage own, gateway;
	struct endpoint to = { .addr = p->way.gateway, .port = PCP_PORT },
			from = { .addr = p->way.own };
	socklen_t to_len, from_len = endpoint_to_sockaddr(&from, &own);
	int r = 0;

	if (ip_addr_is_link_local(&to.addr) && to.addr.family == AF_INET6)
		to.scope = (uint32_t) p->way.ifindex;
	to_len = endpoint_to_sockaddr(&to, &gateway);
	fd = socket(to.addr.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *) &own, from_len) < 0 ||
		connect(fd, (struct sockaddr *) &gateway, to_len) < 0)
		return -errno;
	if (p->event)
		r = sd_event_add_io(p->event, &p->io, fd, EPOLLIN, on_pcp, p);
	if (r < 0)
		return r;
	p->fd = take_fd(&fd);
	return 0;
}

int pmp_pcp(struct pmp *p, const struct pcp_request *request)
{
	uint8_t data[PCP_REQUEST_LEN];
	int r = p->fd < 0 ? open_pcp(p) : 0;

	if (r < 0)
		return r;
	p->request = *request;
	pcp_request_format(request, data);
	return send(p->fd, data, sizeof(data), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* --- NAT-PMP --- */

/* Of libnatpmp's returns what it is for the hook. */
static int natpmp_result(int r)
{
	switch (r) {
	case NATPMP_ERR_NOTAUTHORIZED:
	case NATPMP_ERR_NETWORKFAILURE:
	case NATPMP_ERR_OUTOFRESOURCES:
		return -r + NATPMP_ERR_UNDEFINEDERROR; /* 2, 3, 4 */
	case NATPMP_ERR_UNSUPPORTEDVERSION:
	case NATPMP_ERR_UNSUPPORTEDOPCODE:
		return -EPROTONOSUPPORT;
	case NATPMP_ERR_UNDEFINEDERROR:
		return -EBADMSG;
	default:
		return -ECONNREFUSED;
	}
}

/* The library reads no length: what a short one lacks is whatever lay there, so it is checked. */
static bool take_natpmp(const struct pmp *p, const natpmpresp_t *response, struct pmp_answer *ret)
{
	*ret = (struct pmp_answer){ .epoch_s = response->epoch };
	if (response->type == NATPMP_RESPTYPE_PUBLICADDRESS) {
		ret->is_address = true;
		ret->outside.family = AF_INET;
		memcpy(ret->outside.bytes, &response->pnu.publicaddress.addr, 4);
		return !p->port;
	}
	ret->port = response->pnu.newportmapping.mappedpublicport;
	ret->lifetime_s = response->pnu.newportmapping.lifetime;
	return response->type == NATPMP_RESPTYPE_UDPPORTMAPPING && p->port &&
	       response->pnu.newportmapping.privateport == p->port;
}

/* Once it has an answer it reads no more before it is asked again: what comes then waits. */
static int on_natpmp(sd_event_source *source, int fd, uint32_t revents, void *ctx)
{
	struct pmp *p = ctx;

	for (int i = 0; i < ANSWERS_AT_ONCE; i++) {
		natpmpresp_t response = { 0 };
		struct pmp_answer answer;
		int r = readnatpmpresponseorretry(&p->natpmp, &response);

		if (r == NATPMP_TRYAGAIN)
			return 0;
		if (r == NATPMP_ERR_WRONGPACKETSOURCE)
			continue;
		(void) sd_event_source_set_enabled(p->natpmp_io, SD_EVENT_OFF);
		if (r == NATPMP_ERR_NOPENDINGREQ)
			return 0;
		if (r < 0)
			p->hooks->natpmp(p->ctx, NULL, natpmp_result(r));
		else if (take_natpmp(p, &response, &answer))
			p->hooks->natpmp(p->ctx, &answer, 0);
		return 0;
	}
	return 0;
}

static int open_natpmp(struct pmp *p)
{
	in_addr_t gateway;
	int r = 0;

	if (p->way.gateway.family != AF_INET)
		return -EAFNOSUPPORT;
	memcpy(&gateway, p->way.gateway.bytes, 4);
	if (initnatpmp(&p->natpmp, 1, gateway) < 0)
		return -EIO;
	if (p->event)
		r = sd_event_add_io(p->event, &p->natpmp_io, p->natpmp.s, EPOLLIN, on_natpmp, p);
	if (r < 0)
		(void) closenatpmp(&p->natpmp);
	p->natpmp_open = r >= 0;
	return r < 0 ? r : 0;
}

/* What is waited for from now on is for @port, 0: the address. */
static int sent(struct pmp *p, uint16_t port, int r)
{
	p->port = port;
	if (p->natpmp_io)
		(void) sd_event_source_set_enabled(
			p->natpmp_io, r < 0 ? SD_EVENT_OFF : SD_EVENT_ON);
	return r < 0 ? -EIO : 0;
}

int pmp_look(struct pmp *p)
{
	int r = p->natpmp_open ? 0 : open_natpmp(p);

	return r < 0 ? r : sent(p, 0, sendpublicaddressrequest(&p->natpmp));
}

int pmp_natpmp(struct pmp *p, uint16_t port, uint16_t wanted, uint32_t lifetime_s)
{
	int r = p->natpmp_open ? 0 : open_natpmp(p);

	return r < 0 ? r
		     : sent(p, port,
			       sendnewportmappingrequest(
				       &p->natpmp, NATPMP_PROTOCOL_UDP, port, wanted, lifetime_s));
}
