/* metrics-text: see metrics-text.h. */
#include "relay/metrics-text.h"

#include <inttypes.h>

static void about(struct buf *ret, const char *name, const char *type, const char *help)
{
	buf_printf(ret, "# HELP hearth_relay_%s %s\n# TYPE hearth_relay_%s %s\n", name, help, name,
		type);
}

static void one(
	struct buf *ret, const char *name, const char *type, const char *help, uint64_t value)
{
	about(ret, name, type, help);
	buf_printf(ret, "hearth_relay_%s %" PRIu64 "\n", name, value);
}

static void labelled(
	struct buf *ret, const char *name, const char *label, const char *what, uint64_t value)
{
	buf_printf(ret, "hearth_relay_%s{%s=\"%s\"} %" PRIu64 "\n", name, label, what, value);
}

/* Prometheus wants seconds. */
static void seconds(
	struct buf *ret, const char *name, const char *type, const char *help, uint64_t us)
{
	about(ret, name, type, help);
	buf_printf(ret, "hearth_relay_%s %" PRIu64 ".%06" PRIu64 "\n", name, us / 1000000,
		us % 1000000);
}

static void put_udp(const struct metrics_values *m, struct buf *ret)
{
	const struct udp_counters *c = m->udp;

	one(ret, "udp_bound", "gauge", "Members that are bound to the UDP port.", m->bound);
	about(ret, "udp_datagrams_total", "counter",
		"Datagrams that came to the UDP port, by what became of them.");
	for (int i = 0; i < FATES; i++)
		labelled(ret, "udp_datagrams_total", "fate", fate_name((enum fate) i), c->fates[i]);
	one(ret, "udp_received_bytes_total", "counter", "Bytes that came to the UDP port.",
		c->received_bytes);
	one(ret, "udp_carried_bytes_total", "counter",
		"Bytes of the datagrams that were carried, with their heads.", c->carried_bytes);
	one(ret, "udp_fetched_total", "counter",
		"Packets that came over DERP and were sent to members that are bound.", c->fetched);
	about(ret, "udp_fetched_drops_total", "counter",
		"Packets that came over DERP for such members and were dropped, by reason.");
	labelled(ret, "udp_fetched_drops_total", "reason", "unfit", c->fetched_unfit);
	labelled(ret, "udp_fetched_drops_total", "reason", "not_sent", c->fetched_lost);
	one(ret, "udp_said_bytes_total", "counter", "Bytes that the relay itself said over UDP.",
		c->said_bytes);
	one(ret, "udp_overruns_total", "counter",
		"Messages for which the receive buffer had no room.", c->overruns);
}

static void put_derp_drops(const struct derp_counters *c, struct buf *ret)
{
	about(ret, "derp_drops_total", "counter",
		"Packets that waited for a member and were dropped, by reason.");
	for (int i = 0; i < DERP_DROPS; i++)
		labelled(ret, "derp_drops_total", "reason", derp_drop_name((enum derp_drop) i),
			c->drops[i]);
	labelled(ret, "derp_drops_total", "reason", "not_here", c->not_here);
	about(ret, "derp_ended_total", "counter", "DERP connections that ended, by reason.");
	for (int i = DERP_END_NOT + 1; i < DERP_ENDS; i++)
		labelled(ret, "derp_ended_total", "reason", derp_end_name((enum derp_end) i),
			c->ended[i]);
}

static void put_derp(const struct derp_counters *c, struct buf *ret)
{
	one(ret, "derp_clients", "gauge", "Members that are connected over DERP.", c->clients);
	one(ret, "derp_strangers", "gauge", "Connections that have shown no member's key yet.",
		c->strangers);
	one(ret, "derp_preferred", "gauge", "Members whose home this relay is.", c->preferred);
	one(ret, "derp_waiting_bytes", "gauge", "Bytes that wait for members.", c->waiting_bytes);
	one(ret, "derp_accepted_total", "counter", "Connections that were let in.", c->accepted);
	one(ret, "derp_turned_away_total", "counter", "Connections that were not let in.",
		c->turned_away);
	one(ret, "derp_logins_total", "counter", "Logins of members.", c->logins);
	one(ret, "derp_received_packets_total", "counter", "Packets from members.", c->packets_in);
	one(ret, "derp_received_bytes_total", "counter", "Bytes of these packets.", c->bytes_in);
	one(ret, "derp_sent_packets_total", "counter", "Packets to members.", c->packets_out);
	seconds(ret, "derp_queue_delay_seconds_total", "counter",
		"How long these packets waited, all together.", c->delay_us);
	seconds(ret, "derp_queue_delay_max_seconds", "gauge",
		"How long one of them waited at most.", c->delay_max_us);
	put_derp_drops(c, ret);
}

static void put_front(const struct front_counters *c, struct buf *ret)
{
	one(ret, "tcp_waiting", "gauge", "Connections that have not said whom they want.",
		c->waiting);
	one(ret, "tcp_accepted_total", "counter", "Connections to the TCP port.", c->accepted);
	about(ret, "tcp_lost_total", "counter",
		"Connections that never said whom they want, by reason.");
	labelled(ret, "tcp_lost_total", "reason", "slow", c->slow);
	labelled(ret, "tcp_lost_total", "reason", "closed", c->closed);
	labelled(ret, "tcp_lost_total", "reason", "crowded", c->crowded);
	labelled(ret, "tcp_lost_total", "reason", "too_long", c->too_long);
	labelled(ret, "tcp_lost_total", "reason", "memory", c->memory);
}

static void put_pass(const struct pass_counters *c, struct buf *ret)
{
	static const char lost[] = "pass_lost_total";

	one(ret, "pass_parked", "gauge", "Connections that coordinators keep open here.",
		c->parked);
	one(ret, "pass_waiting", "gauge", "Clients who wait for a coordinator.", c->waiting);
	one(ret, "pass_carried", "gauge", "Connections that are passed on to a coordinator.",
		c->carried);
	one(ret, "pass_clients_total", "counter", "Clients who asked for a coordinator.",
		c->clients);
	one(ret, "pass_taken_total", "counter", "Those whom one has taken.", c->taken);
	about(ret, lost, "counter", "Those whom none has taken, by reason.");
	labelled(ret, lost, "reason", "turned_away", c->turned_away);
	labelled(ret, lost, "reason", "crowded", c->crowded);
	labelled(ret, lost, "reason", "unknown", c->unknown);
	labelled(ret, lost, "reason", "full", c->full);
	labelled(ret, lost, "reason", "waited", c->waited);
	one(ret, "pass_parks_total", "counter", "Connections that coordinators have kept here.",
		c->parks);
	one(ret, "pass_strangers_total", "counter",
		"Connections that were to be kept and showed no coordinator's key.", c->strangers);
	one(ret, "pass_dead_total", "counter", "Kept connections that died.", c->dead);
	one(ret, "pass_received_bytes_total", "counter",
		"Bytes from clients whose connections have ended.", c->bytes_in);
	one(ret, "pass_sent_bytes_total", "counter",
		"Bytes to clients whose connections have ended.", c->bytes_out);
}

static void put_elsewhere(const struct elsewhere_counters *c, struct buf *ret)
{
	static const char lost[] = "elsewhere_lost_total";

	one(ret, "elsewhere_carried", "gauge", "Connections that are passed on to another server.",
		c->carried);
	one(ret, "elsewhere_came_total", "counter", "Connections that asked for another server.",
		c->came);
	about(ret, lost, "counter", "Those that were not passed on, or ended, by reason.");
	labelled(ret, lost, "reason", "turned_away", c->turned_away);
	labelled(ret, lost, "reason", "crowded", c->crowded);
	labelled(ret, lost, "reason", "unreachable", c->unreachable);
	labelled(ret, lost, "reason", "circle", c->circles);
	one(ret, "elsewhere_received_bytes_total", "counter",
		"Bytes from clients whose connections have ended.", c->bytes_there);
	one(ret, "elsewhere_sent_bytes_total", "counter",
		"Bytes to clients whose connections have ended.", c->bytes_back);
}

void metrics_text(const struct metrics_values *m, struct buf *ret)
{
	one(ret, "members", "gauge", "Members of the mesh, who may use the relay.", m->members);
	one(ret, "waiting", "gauge", "1: the board is not enrolled yet, and nobody is a member.",
		m->waiting);
	one(ret, "unserved_total", "counter", "Connections meanwhile that were for no coordinator.",
		m->unserved);
	if (m->udp)
		put_udp(m, ret);
	put_front(m->front, ret);
	put_derp(m->derp, ret);
	put_pass(m->pass, ret);
	if (m->elsewhere)
		put_elsewhere(m->elsewhere, ret);
}
