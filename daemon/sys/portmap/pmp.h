/*
 * pmp: asks a gateway by PCP (IPv4 and IPv6) and by NAT-PMP (libnatpmp, IPv4), which share a port.
 * Its sockets are connected to the gateway: nobody else's answers come in. Each call sends one
 * datagram; who wants it sent again calls again.
 */
#pragma once

#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/ip.h"
#include "wire/pcp.h"

/* A gateway, and this board as that sees it. */
struct pmp_way {
	struct ip_addr gateway; /* may be link-local */
	struct ip_addr own;     /* of the same family */
	int ifindex;
};

struct pmp_answer {
	bool is_address;        /* only that, and epoch_s */
	struct ip_addr outside; /* as it says: to be judged */
	uint16_t port;          /* outside */
	uint32_t lifetime_s, epoch_s;
};

/*
 * From the loop; the handle must not be freed within. Of PCP @r is 0, -EPROTONOSUPPORT, or what the
 * socket says (-ECONNREFUSED: there is nobody); of NAT-PMP 0, such an errno, or (more than 0) the
 * number by which it was refused (RFC 6886, 3.5). Without an answer (@r is not 0) it is NULL.
 */
struct pmp_hooks {
	void (*pcp)(void *ctx, const struct pcp_answer *answer, int r);
	void (*natpmp)(void *ctx, const struct pmp_answer *answer, int r);
};

struct pmp;
/*
 * No socket is opened before something is sent. @hooks are borrowed. @event may be NULL, as when
 * the loop has ended: then no answer is heard. NULL: out of memory.
 */
struct pmp *pmp_new(
	sd_event *event, const struct pmp_way *way, const struct pmp_hooks *hooks, void *ctx);
/* NULL is fine. Returns NULL. */
struct pmp *pmp_free(struct pmp *pmp);

/* Sends @request, whose client is this board. 0 or -errno. Only answers to the last one count. */
int pmp_pcp(struct pmp *pmp, const struct pcp_request *request);
/* Asks for the outside address, or for the UDP port @port (@lifetime_s 0: no more). 0 or -errno. */
int pmp_look(struct pmp *pmp);
int pmp_natpmp(struct pmp *pmp, uint16_t port, uint16_t wanted, uint32_t lifetime_s);
