/*
 * wg-net: see wg-net.h. The data path here is the plainest one: one packet, libsodium, no batches.
 */
#include "wg-net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "wg/crypto.h"

enum { DATAGRAM_MAX = NET_PACKET_MAX + 64 };

struct net_packet {
	struct net_packet *next;
	uint64_t at_us;
	struct endpoint from, to;
	size_t len;
	uint8_t data[DATAGRAM_MAX];
};

uint64_t net_random(struct net *net)
{
	uint64_t z = net->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool happens(struct net *net, unsigned per_thousand)
{
	return net_random(net) % 1000 < per_thousand;
}

void net_init(struct net *net, uint64_t seed)
{
	*net = (struct net){
		.now_us = 1000000,
		.wall_us = UINT64_C(1700000000000000),
		.seed = seed,
		.delay_min_us = 10000,
		.delay_max_us = 10000,
	};
}

void net_done(struct net *net)
{
	for (size_t i = 0; i < net->n_hosts; i++)
		net->hosts[i].device = wg_device_free(net->hosts[i].device);
	while (net->flying) {
		struct net_packet *packet = net->flying;

		net->flying = packet->next;
		free(packet);
	}
}

unsigned net_host_number(const struct net_host *host)
{
	return (unsigned) (host - host->net->hosts) + 1;
}

static bool is_cut(const struct net_host *host)
{
	return host->net->cut & 1u << (net_host_number(host) - 1);
}

static void fly(struct net *net, const struct endpoint *from, const struct endpoint *to,
	const uint8_t *data, size_t len)
{
	struct net_packet *packet = calloc(1, sizeof(*packet)), **at = &net->flying;

	assert_non_null(packet);
	assert_true(len <= DATAGRAM_MAX);
	packet->at_us = net->now_us + net->delay_min_us;
	if (net->delay_max_us > net->delay_min_us)
		packet->at_us += net_random(net) % (net->delay_max_us - net->delay_min_us);
	packet->from = *from;
	packet->to = *to;
	packet->len = len;
	memcpy(packet->data, data, len);
	if (happens(net, net->spoiled))
		packet->data[net_random(net) % len] ^= (uint8_t) (1 << net_random(net) % 8);
	while (*at && (*at)->at_us <= packet->at_us)
		at = &(*at)->next;
	packet->next = *at;
	*at = packet;
	net->on_the_way++;
}

static void on_send(void *ctx, struct wg_peer *peer, const struct wg_endpoint *to,
	const uint8_t *data, size_t len)
{
	struct net_host *host = ctx;
	struct net *net = host->net;
	int type = wg_message_type(data, len);

	assert_true(type > 0); /* what we send is always well-formed */
	assert_true(to->remote.addr.family != 0);
	host->sent_type[type]++;
	if (host->on_send)
		host->on_send(host, to, data, len);
	if (is_cut(host) || (host->no_handshakes && type != WG_TYPE_DATA))
		return;
	for (unsigned copies = happens(net, net->doubled) ? 2 : 1; copies; copies--) {
		if (happens(net, net->loss))
			net->lost++;
		else
			fly(net, &host->addrs[0], &to->remote, data, len);
	}
}

/* The tunnel's part: pad, seal, send. */
static void seal_and_send(
	struct net_host *host, struct wg_session *session, const uint8_t *inner, size_t len)
{
	uint8_t padded[DATAGRAM_MAX] = { 0 }, packet[DATAGRAM_MAX];
	size_t padded_len = (len + 15) / 16 * 16;
	uint64_t counter;

	memcpy(padded, inner, len);
	assert_true(wg_session_reserve(session, 1, &counter));
	wg_data_head_format(packet, session->remote_index, counter);
	wg_seal(packet + 16, padded, padded_len, NULL, 0, session->send_key, counter);
	if (!session->cipher)
		session->cipher = host;
	wg_peer_data_sent(session, padded_len + 32);
	on_send(host, session->peer, wg_peer_endpoint(session->peer), packet, padded_len + 32);
}

static void on_ready(void *ctx, struct wg_peer *peer)
{
	struct wg_staged *staged;

	while ((staged = wg_peer_unstage(peer))) {
		struct wg_session *session = wg_peer_sending(peer);

		assert_non_null(session);
		seal_and_send(ctx, session, staged->data, staged->len);
		free(staged);
	}
}

static void on_cipher_free(void *ctx, void *cipher)
{
	struct net_host *host = ctx;

	assert_ptr_equal(cipher, host);
	host->ciphers_freed++;
}

static int on_reserve(void *ctx, uint64_t until_s)
{
	struct net_host *host = ctx;

	assert_true(until_s > host->reserved_s);
	if (host->reserve_result == 0) {
		host->reserved_s = until_s;
		host->n_reserved++;
	}
	return host->reserve_result;
}

static void on_event(void *ctx, struct wg_peer *peer, enum wg_event event)
{
	struct net_host *host = ctx;

	host->events[event]++;
	if (event == WG_EVENT_QUIET || event == WG_EVENT_UNANSWERED)
		host->unanswered = wg_peer_unanswered(peer);
}

static void on_heard(void *ctx, struct wg_peer *peer, const struct wg_endpoint *from)
{
	struct net_host *host = ctx;

	assert_true(host->managed);
	host->n_heard++;
	host->heard = from->remote;
}

static void set_time(struct net_host *host)
{
	wg_device_set_time(host->device, host->net->now_us,
		host->net->wall_us + (uint64_t) host->wall_offset_us);
}

void net_host_restart(struct net_host *host)
{
	const struct wg_config config = {
		.ops = { .send = on_send,
			.ready = on_ready,
			.cipher_free = on_cipher_free,
			.reserve_timestamp = on_reserve,
			.heard = on_heard,
			.event = on_event },
		.ctx = host,
		.managed = host->managed,
		.timestamp_floor_s = host->reserved_s,
		.now_us = host->net->now_us,
		.wall_us = host->net->wall_us + (uint64_t) host->wall_offset_us,
	};

	host->device = wg_device_free(host->device);
	assert_int_equal(wg_device_new(&config, &host->device), 0);
	wg_device_set_private_key(host->device, host->private_key);
	assert_true(wg_device_public_key(host->device, host->public_key));
}

struct net_host *net_host_add(struct net *net, bool v6)
{
	assert_true(net->n_hosts < NET_HOSTS_MAX);
	struct net_host *host = &net->hosts[net->n_hosts++];

	host->net = net;
	for (size_t i = 0; i < WG_KEY_LEN; i += 8) {
		uint64_t r = net_random(net);

		memcpy(host->private_key + i, &r, 8);
	}
	host->addrs[0] = (struct endpoint){ .port = 1000 };
	if (v6)
		assert_int_equal(ip_addr_parse("2001:db8::", &host->addrs[0].addr), 0);
	else
		assert_int_equal(ip_addr_parse("192.0.2.0", &host->addrs[0].addr), 0);
	host->addrs[0].addr.bytes[v6 ? 15 : 3] = (uint8_t) net_host_number(host);
	host->n_addrs = 1;
	net_host_restart(host);
	return host;
}

struct wg_peer *net_introduce(struct net_host *a, struct net_host *b, bool know)
{
	struct wg_peer *peer;
	struct ip_prefix v4, v6;

	assert_int_equal(ip_prefix_parse("10.0.0.0/32", &v4), 0);
	assert_int_equal(ip_prefix_parse("fd00::/128", &v6), 0);
	v4.addr.bytes[3] = v6.addr.bytes[15] = (uint8_t) net_host_number(b);
	set_time(a);
	assert_in_range(wg_device_add_peer(a->device, b->public_key, &peer), 0, 1);
	assert_int_equal(wg_peer_add_allowed(peer, &v4), 0);
	assert_int_equal(wg_peer_add_allowed(peer, &v6), 0);
	if (know)
		wg_peer_set_endpoint(peer, &b->addrs[0]);
	return peer;
}

struct wg_peer *net_peer(struct net_host *a, const struct net_host *b)
{
	return wg_device_find_peer(a->device, b->public_key);
}

size_t net_packet_make(
	uint8_t ret[static NET_PACKET_MAX], unsigned from, unsigned to, uint32_t number)
{
	size_t len = 24 + number % 100;

	memset(ret, 0, NET_PACKET_MAX);
	ret[0] = 0x45;
	ret[3] = (uint8_t) len;
	memcpy(ret + 12, (uint8_t[]){ 10, 0, 0, (uint8_t) from, 10, 0, 0, (uint8_t) to }, 8);
	memcpy(ret + 20, &number, 4);
	return len;
}

int net_write(struct net_host *host, const uint8_t *packet, size_t len)
{
	set_time(host);
	struct wg_peer *peer = wg_device_route(host->device, AF_INET, packet + 16);

	if (!peer)
		return -ENETUNREACH;
	struct wg_session *session = wg_peer_sending(peer);

	if (!session)
		return wg_peer_stage(peer, packet, len);
	seal_and_send(host, session, packet, len);
	return 0;
}

int net_ping(struct net_host *from, const struct net_host *to, uint32_t number)
{
	uint8_t packet[NET_PACKET_MAX];
	size_t len = net_packet_make(packet, net_host_number(from), net_host_number(to), number);

	return net_write(from, packet, len);
}

/* The inner packet of a data message, after everything was checked. */
static void deliver(
	struct net_host *host, struct wg_session *session, const uint8_t *inner, size_t len)
{
	if (len < 20 || wg_device_route(host->device, AF_INET, inner + 12) != session->peer) {
		host->dropped++;
		return;
	}
	size_t inner_len = (size_t) inner[2] << 8 | inner[3];

	assert_true(inner_len <= len && inner_len <= NET_PACKET_MAX);
	memcpy(host->last, inner, inner_len);
	host->last_len = inner_len;
	host->last_peer = session->peer;
	host->delivered++;
}

static void receive_data(
	struct net_host *host, const struct wg_endpoint *from, const uint8_t *data, size_t len)
{
	struct wg_data_head head;
	uint8_t inner[DATAGRAM_MAX];

	if (wg_device_denies(host->device, &from->remote) ||
		!wg_data_head_parse(data, len, &head)) {
		host->dropped++;
		return;
	}
	struct wg_session *session = wg_device_session(host->device, head.receiver);

	if (!session ||
		wg_open(inner, data + 16, len - 16, NULL, 0, session->receive_key, head.counter) <
			0 ||
		!wg_session_accept(session, head.counter)) {
		host->dropped++;
		return;
	}
	if (!session->cipher)
		session->cipher = host;
	wg_peer_data_received(session, from, len, len > WG_DATA_MIN_LEN);
	if (len == WG_DATA_MIN_LEN)
		host->keepalives++;
	else
		deliver(host, session, inner, len - WG_DATA_MIN_LEN);
}

void net_inject(struct net_host *host, const struct endpoint *from, const uint8_t *data, size_t len)
{
	struct wg_endpoint endpoint = {
		.remote = *from, .local = host->addrs[0].addr, .ifindex = 1
	};

	set_time(host);
	if (len && data[0] == WG_TYPE_DATA) {
		receive_data(host, &endpoint, data, len);
		return;
	}
	host->last_result = wg_device_receive(host->device, data, len, &endpoint);
	host->dropped += host->last_result < 0;
}

static struct net_host *host_at(struct net *net, const struct endpoint *addr)
{
	for (size_t i = 0; i < net->n_hosts; i++)
		for (size_t k = 0; k < net->hosts[i].n_addrs; k++)
			if (endpoint_equal(&net->hosts[i].addrs[k], addr))
				return &net->hosts[i];
	return NULL;
}

static void arrive(struct net *net)
{
	CLEANUP(free_p) struct net_packet *packet = net->flying;

	net->flying = packet->next;
	net->on_the_way--;
	struct net_host *host = host_at(net, &packet->to);

	if (host && !is_cut(host))
		net_inject(host, &packet->from, packet->data, packet->len);
}

static void move_to(struct net *net, uint64_t at_us)
{
	if (at_us > net->now_us) {
		net->wall_us += at_us - net->now_us;
		net->now_us = at_us;
	}
}

void net_run(struct net *net, uint64_t duration_us)
{
	uint64_t end_us = net->now_us + duration_us;

	for (;;) {
		uint64_t next_us = net->flying ? net->flying->at_us : WG_NO_DEADLINE;
		struct net_host *due = NULL;

		for (size_t i = 0; i < net->n_hosts; i++) {
			uint64_t deadline_us = wg_device_next_deadline(net->hosts[i].device);

			if (deadline_us < next_us) {
				next_us = deadline_us;
				due = &net->hosts[i];
			}
		}
		if (next_us > end_us)
			break;
		move_to(net, next_us);
		if (!due) {
			arrive(net);
			continue;
		}
		set_time(due);
		wg_device_tick(due->device);
	}
	move_to(net, end_us);
	for (size_t i = 0; i < net->n_hosts; i++)
		set_time(&net->hosts[i]);
}
