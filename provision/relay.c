/*
 * relay: see relay.h. A run that is interrupted while it waits leaves the relay running; the next
 * one finds it so and goes on waiting.
 */
#include "provision/relay.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/names.h"
#include "board/links.h"
#include "mesh/relay-hosts.h"
#include "sys/ipc/ipc.h"

enum {
	AGAIN_MS = 1000,
	OTHERS_EVERY = 5, /* of the tries one is not at the own relay */
};

const char *const relay_options[RELAYUNIT_OPTIONS] = { "--relay-host", "--relay-port",
	"--relay-udp-port", "--pass-to" };

/* --- the relay itself --- */

static void say_ports(const struct node_relay *relay, char *ret, size_t size)
{
	char udp[32] = "no UDP port";

	if (relay->udp)
		(void) snprintf(udp, sizeof(udp), "UDP port %u", relay->udp);
	(void) snprintf(ret, size, "TCP port %u and %s", relay->tcp, udp);
}

/* hearthd looks once a minute; asked, it looks now. Where it does not run yet it looks then. */
static void let_hearthd_look(struct enroll *e)
{
	CLEANUP_IPC_REPLY struct ipc_reply reply = { .fd = -1 };
	char path[PATH_TEXT_MAX];

	(void) ipc_call(paths_join(e->paths.run, NAMES_HEARTHD_SOCK, path), "reload", NULL,
		2 * USEC_PER_SEC, &reply, NULL);
}

/* Until it is enrolled it is there for the token's coordinators. */
static void wait_for_token(struct enroll *e, struct relayfile *file)
{
	file->n_waits_for = e->enrolled ? 0 : e->token.n_pins;
	memset(file->waits_for, 0, sizeof(file->waits_for));
	memcpy(file->waits_for, e->token.pins, file->n_waits_for * sizeof(file->waits_for[0]));
}

static int turn_on(struct enroll *e, struct relayunit *unit, const char *ports, struct err *err)
{
	int r = relayunit_check(unit, relay_options, err);

	if (r < 0)
		return r;
	if (e->dry_run) {
		talk_step(&e->talk, TALK_WOULD, "relay", "make this board a relay on %s", ports);
		return 0;
	}
	talk_wait(&e->talk, "relay", "starting hearth-relay");
	r = relayunit_turn_on(unit, err);
	if (r < 0)
		return r;
	let_hearthd_look(e);
	talk_step(&e->talk, TALK_DONE, "relay", "this board serves as a relay on %s", ports);
	if (!e->systemd)
		talk_step(&e->talk, TALK_NOTE, "relay",
			"process 1 is not systemd: have `hearth-relay serve` started at boot; its "
			"log is %s/hearth-relay.log",
			e->paths.run);
	return 0;
}

/* As hearthd chooses, too (node/offer.h). Without any, hearthd asks later, when it has some. */
static void find_hosts(struct node_relay *ret)
{
	CLEANUP_NL struct nl *nl = NULL;
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	CLEANUP_LINKS struct links links = { 0 };
	const struct links_rules rules = { .own_ifname = NULL };
	struct ip_addr addrs[LINKS_ADDRS_MAX];
	struct err ignored = { 0 };

	if (nl_open(&nl, &ignored) < 0 || links_facts_read(nl, &facts, &ignored) < 0 ||
		links_judge(&facts, &rules, &links) < 0)
		return;
	for (size_t i = 0; i < links.n_addrs; i++)
		addrs[i] = links.addrs[i].addr;
	relay_hosts_own(addrs, links.n_addrs, ret);
}

/* What enrolment asks for, while the token still has an administrator's yes. */
static void offer(struct enroll *e, const struct relayfile *file)
{
	e->own_relay = file->relay.tcp;
	node_relay_copy(&file->relay, &e->offered);
	if (e->dry_run && sodium_is_zero(e->offered.pin, sizeof(e->offered.pin))) {
		/* None are made: any get the same answer. */
		randombytes_buf(e->offered.pin, sizeof(e->offered.pin));
		randombytes_buf(e->offered.key, sizeof(e->offered.key));
	}
	e->offers_own = file->automatic;
	if (e->offers_own)
		find_hosts(&e->offered);
}

/* Whether it may be one, the coordinator's administrator says. */
static void say_next(struct enroll *e)
{
	if (e->enrolled && !e->node.relay.n_hosts)
		talk_next(&e->talk,
			"on the coordinator's board: hearth relay list shows that %s asks to be a "
			"relay, hearth relay allow %s lets it",
			e->node.name, e->node.name);
}

int relay_set_up(struct enroll *e, struct err *err)
{
	CLEANUP_RELAYUNIT struct relayunit unit = { 0 };
	char ports[64];
	int r = e->relay ? relayunit_plan(&unit, &e->paths, &e->relay_wish, err) : 0;

	if (!e->relay || r < 0)
		return r;
	wait_for_token(e, &unit.file);
	say_ports(&unit.file.relay, ports, sizeof(ports));
	if (relayunit_is_on(&unit))
		talk_step(&e->talk, TALK_KEPT, "relay", "this board is a relay on %s", ports);
	else
		r = turn_on(e, &unit, ports, err);
	if (r == 0 && !e->enrolled)
		offer(e, &unit.file);
	say_next(e);
	return r;
}

int relay_settle(struct enroll *e, struct err *err)
{
	CLEANUP_RELAYFILE struct relayfile file = { 0 };
	char path[PATH_TEXT_MAX];
	struct err ignored = { 0 };

	/* A file that is damaged is hearthd's to complain of. */
	if (!e->enrolled || e->dry_run ||
		relayfile_read(paths_join(e->paths.etc, RELAYFILE_NAME, path), &file, &ignored) <
			0 ||
		!file.n_waits_for)
		return 0;
	file.n_waits_for = 0;
	return relayfile_write(path, &file, err);
}

/* --- waiting for a coordinator --- */

static bool is_for_all(const char *host)
{
	struct ip_addr addr;

	return ip_addr_parse(host, &addr) < 0 || !ip_addr_is_private(&addr);
}

void relay_place(const struct node_relay *relay, bool chosen, char ret[static RELAY_PLACE_MAX])
{
	bool known = relay->n_hosts && (chosen || is_for_all(relay->hosts[0]));
	const char *host = known ? relay->hosts[0] : "HOST";

	if (relay->tcp == RELAYFILE_TCP_DEFAULT)
		(void) snprintf(ret, RELAY_PLACE_MAX, "%s", host);
	else
		(void) snprintf(ret, RELAY_PLACE_MAX, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
			relay->tcp);
}

static void say_what_to_do(struct enroll *e)
{
	char place[RELAY_PLACE_MAX];

	relay_place(&e->offered, !e->offers_own, place);
	talk_step(&e->talk, TALK_NOTE, "enroll",
		"nothing leads from here to the coordinator of mesh %s (%s%s). It can come to this "
		"board's relay instead. On the coordinator's board: sudo hearth relay add %s%s",
		e->token.mesh, e->token.urls[0], e->token.n_urls > 1 ? ", ..." : "", place,
		strncmp(place, "HOST", 4) ? "" : ", where HOST is what others reach this board at");
	talk_wait(&e->talk, "enroll",
		"waiting for it; Ctrl-C ends that, and the same command goes on");
}

static void pause_a_moment(void)
{
	struct timespec t = { .tv_sec = AGAIN_MS / 1000, .tv_nsec = AGAIN_MS % 1000 * 1000000 };

	(void) nanosleep(&t, NULL); /* interrupted: asked again a little sooner */
}

/* Also a no is one, and what would be no better the next time. */
static bool is_answer(const struct caller *caller, int r)
{
	return caller->answered || r == -ENOMEM || r == -EINVAL;
}

int relay_await(struct enroll *e, struct caller *caller, const json_t *body, json_t **ret,
	char ret_code[static 64], struct err *err)
{
	uint64_t until_us = clock_now_us() + e->wait_s * USEC_PER_SEC;
	bool spares_proxy = err->code == -EACCES; /* it might lock the user out */
	int r;

	if (spares_proxy)
		talk_step(&e->talk, TALK_NOTE, "enroll", "%s", err->text);

	caller_choose(caller, CALLER_OWN);
	r = caller_ask(caller, "POST", "/v1/enroll", body, ret, ret_code, err);
	if (is_answer(caller, r))
		return r; /* it had come before */
	say_what_to_do(e);
	for (unsigned i = 1;; i++) {
		if (e->has_wait && clock_now_us() >= until_us)
			return err_set(err, -ETIMEDOUT,
				"the coordinator of mesh %s has not come within %u s (--wait)",
				e->token.mesh, e->wait_s);
		pause_a_moment();
		caller_choose(
			caller, i % OTHERS_EVERY || spares_proxy ? CALLER_OWN : CALLER_OTHERS);
		r = caller_ask(caller, "POST", "/v1/enroll", body, ret, ret_code, err);
		if (is_answer(caller, r))
			return r;
		spares_proxy |= r == -EACCES;
	}
}
