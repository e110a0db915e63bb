/* fake-ferry: see fake-ferry.h. */
#include "fake-ferry.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fake-core.h"
#include "wire/derp.h"

enum { EVENTS_MAX = 64 };

/* --- the ferry --- */

struct fake_ferry fake_ferry;
struct fake_carrier fake_carriers[FAKE_IDS];
struct fake_stream fake_streams[FAKE_IDS];
struct fake_passenger fake_passengers[FAKE_IDS];
struct fake_hole fake_holes[FAKE_IDS];

static struct {
	struct ferry_event event;
	uint8_t data[UDPRELAY_REPLY_MAX];
} events[EVENTS_MAX];
static size_t n_events, next_event;

int ferry_new(uint16_t tunnel_port, struct ferry **ret, struct err *err)
{
	if (fake_ferry.fails < 0)
		return err_set(err, fake_ferry.fails, "no ferry");
	assert_int_equal(fake_ferry.open, 0);
	fake_ferry.open++;
	fake_ferry.port = tunnel_port;
	*ret = (struct ferry *) &fake_carriers;
	return 0;
}

struct ferry *ferry_free(struct ferry *ferry)
{
	if (ferry) {
		fake_ferry.open--;
		for (size_t i = 0; i < FAKE_IDS; i++) {
			assert_false(fake_carriers[i].open || fake_streams[i].open);
			assert_false(fake_holes[i].open);
			assert_false(fake_passengers[i].there);
		}
	}
	return NULL;
}

void ferry_set_tunnel_port(struct ferry *ferry, uint16_t port)
{
	fake_ferry.port = port;
}

struct endpoint fake_ferry_loopback(uint32_t node)
{
	return (struct endpoint){ .addr = { AF_INET, { 127, 0, 0, 1 } },
		.port = (uint16_t) (5000 + node) };
}

int ferry_peer_add(struct ferry *ferry, uint32_t node, const uint8_t key[static FERRY_KEY_LEN],
	struct endpoint *ret)
{
	if (fake_ferry.peers_fail < 0)
		return fake_ferry.peers_fail;
	assert_memory_equal(
		key, netmap_by_id(book_netmap(NULL), node)->wg, sizeof(fake_passengers[node].key));
	memcpy(fake_passengers[node].key, key, sizeof(fake_passengers[node].key));
	assert_false(fake_passengers[node].there);
	fake_passengers[node].there = true;
	fake_passengers[node].by = fake_passengers[node].changes = 0;
	fake_ferry.passengers++;
	*ret = fake_ferry_loopback(node);
	return 0;
}

void ferry_peer_remove(struct ferry *ferry, uint32_t node)
{
	assert_true(fake_passengers[node].there);
	assert_false(fake_tunnel.allowed[node]); /* the tunnel was told before */
	fake_passengers[node].there = false;
	fake_ferry.passengers--;
}

int ferry_peer_carrier(struct ferry *ferry, uint32_t node, uint32_t relay)
{
	assert_true(fake_passengers[node].there);
	assert_true(!relay || fake_carriers[relay].session || fake_streams[relay].open);
	fake_passengers[node].by = relay;
	fake_passengers[node].changes++;
	return 0;
}

int ferry_relay_open(struct ferry *ferry, uint32_t relay, const struct endpoint *to,
	uint32_t fwmark, struct err *err)
{
	if (fake_ferry.unreachable4 && to->addr.family == AF_INET)
		return err_set(err, -ENETUNREACH, "connect: Network is unreachable");
	fake_carriers[relay].open = true;
	fake_carriers[relay].to = *to;
	fake_carriers[relay].session = 0;
	fake_carriers[relay].opened++;
	return 0;
}

int ferry_relay_session(struct ferry *ferry, uint32_t relay, uint32_t session)
{
	assert_true(fake_carriers[relay].open);
	fake_carriers[relay].session = session;
	return 0;
}

void ferry_relay_close(struct ferry *ferry, uint32_t relay)
{
	assert_true(fake_carriers[relay].open);
	fake_carriers[relay].open = false;
}

int ferry_send_control(struct ferry *ferry, uint32_t relay, const uint8_t *data, size_t len)
{
	assert_true(fake_carriers[relay].open);
	assert_int_equal(len, UDPRELAY_BIND_LEN);
	fake_carriers[relay].n_binds++;
	memcpy(fake_carriers[relay].bind, data, len);
	return 0;
}

int ferry_hole_open(struct ferry *ferry, uint32_t node, int fd, int family)
{
	assert_true(fake_passengers[node].there);
	assert_false(fake_holes[node].open);
	assert_int_equal(family, AF_INET);
	if (fake_ferry.holes_fail < 0) {
		(void) close(fd);
		return fake_ferry.holes_fail;
	}
	fake_holes[node].open = true;
	fake_holes[node].fd = fd;
	fake_holes[node].opened++;
	return 0;
}

void ferry_hole_close(struct ferry *ferry, uint32_t node)
{
	if (fake_holes[node].open)
		(void) close(fake_holes[node].fd);
	fake_holes[node].open = false;
}

int ferry_stream_open(struct ferry *ferry, uint32_t relay, const struct ferry_stream *stream)
{
	assert_false(fake_streams[relay].open);
	fake_streams[relay].open = true;
	fake_streams[relay].opened++;
	fake_streams[relay].stream = *stream;
	fake_streams[relay].heard_us = clock_now_us();
	return 0;
}

void ferry_stream_close(struct ferry *ferry, uint32_t relay)
{
	assert_true(fake_streams[relay].open);
	fake_streams[relay].open = false;
}

int ferry_stream_send(struct ferry *ferry, uint32_t relay, const uint8_t *frame, size_t len)
{
	assert_true(fake_streams[relay].open);
	fake_streams[relay].n_pings += frame[0] == DERP_PING;
	return 0;
}

uint64_t ferry_stream_heard_us(const struct ferry *ferry, uint32_t relay)
{
	return fake_streams[relay].open ? fake_streams[relay].heard_us : 0;
}

int ferry_event_fd(const struct ferry *ferry)
{
	return FAKE_FERRY_FD;
}

bool ferry_next_event(struct ferry *ferry, struct ferry_event *ret)
{
	if (next_event == n_events)
		return false;
	*ret = events[next_event].event;
	ret->data = events[next_event++].data;
	return true;
}

struct ferry_event *fake_ferry_push(enum ferry_event_kind kind, uint32_t relay)
{
	assert_true(n_events < EVENTS_MAX);
	if (next_event == n_events)
		next_event = n_events = 0;
	events[n_events].event = (struct ferry_event){ .kind = kind, .relay = relay };
	return &events[n_events++].event;
}

uint8_t *fake_ferry_data(void)
{
	return events[n_events - 1].data;
}

/* --- the tunnel --- */

struct fake_tunnel fake_tunnel;

uint16_t tunnel_port(struct tunnel *tunnel)
{
	return fake_tunnel.port;
}

int tunnel_allow_loopback(struct tunnel *tunnel, uint16_t at, bool is_allowed)
{
	assert_non_null(tunnel);
	assert_true(at > 5000);
	assert_true(fake_passengers[at - 5000].there); /* also when it ends */
	fake_tunnel.allowed[at - 5000] = is_allowed;
	return 0;
}

int tunnel_set_peer(struct tunnel *tunnel, const struct tunnel_peer *peer)
{
	return 0;
}

int tunnel_remove_peer(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_initiate(struct tunnel *tunnel, const uint8_t key[static TUNNEL_KEY_LEN])
{
	return 0;
}

int tunnel_get_stats(struct tunnel *tunnel, struct tunnel_peer_stats **ret, size_t *ret_n)
{
	return -ENODEV;
}

/* --- the resolver --- */

struct resolve fake_lookups[FAKE_LOOKUPS_MAX];
unsigned fake_lookups_n;

int resolve_start(sd_event *event, const char *name, resolve_fn done, void *ctx,
	struct resolve **ret, struct err *err)
{
	assert_true(fake_lookups_n < FAKE_LOOKUPS_MAX);
	*ret = &fake_lookups[fake_lookups_n++];
	**ret = (struct resolve){ .done = done, .ctx = ctx, .asked = true };
	(void) snprintf((*ret)->name, sizeof((*ret)->name), "%s", name);
	return 0;
}

struct resolve *resolve_cancel(struct resolve *r)
{
	if (r)
		r->asked = false;
	return NULL;
}

void fake_resolved(const char *one, const char *other)
{
	struct resolve *r = &fake_lookups[fake_lookups_n - 1];
	struct ip_addr list[2];
	struct err err = { 0 };
	size_t n = 0;

	assert_true(fake_lookups_n && r->asked);
	r->asked = false;
	if (*one)
		assert_int_equal(ip_addr_parse(one, &list[n++]), 0);
	if (other)
		assert_int_equal(ip_addr_parse(other, &list[n++]), 0);
	if (!n)
		err_set(&err, -EHOSTUNREACH, "%s cannot be looked up: no such name", r->name);
	r->done(r->ctx, list, n, &err);
}

/* --- all of them --- */

void fake_ferry_reset(void)
{
	fake_ferry = (struct fake_ferry){ 0 };
	memset(fake_carriers, 0, sizeof(fake_carriers));
	memset(fake_streams, 0, sizeof(fake_streams));
	memset(fake_passengers, 0, sizeof(fake_passengers));
	memset(fake_holes, 0, sizeof(fake_holes));
	fake_tunnel = (struct fake_tunnel){ 0 };
	n_events = next_event = 0;
	fake_lookups_n = 0;
}

void fake_ferry_check(void)
{
	assert_int_equal(fake_ferry.open, 0);
	assert_int_equal(fake_ferry.passengers, 0);
	for (unsigned i = 0; i < fake_lookups_n; i++)
		assert_false(fake_lookups[i].asked);
}
