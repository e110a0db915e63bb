/*
 * relay-login: from nothing to a stream at a relay of the mesh (PROTOCOL.md section 13): its
 * addresses are dialled, one a moment after the other until one stands, and this board logs in
 * there as its WireGuard key. Only whoever holds both keys of the relay's record gets to know who
 * we are. A part of relays.h, whose thread's it is.
 */
#pragma once

#include "node/relay-addrs.h"
#include "sys/dial/dial.h"
#include "wire/derp-login.h"

enum {
	RELAY_LOGIN_READ = 4096,
	RELAY_LOGIN_TARGETS = RELAY_ADDRS_MAX + NODE_RELAY_HOSTS_MAX,
};
#define RELAY_LOGIN_NEXT_US UINT64_C(1000000)  /* from one address to the next */
#define RELAY_LOGIN_DIAL_US UINT64_C(10000000) /* for each */
#define RELAY_LOGIN_US      UINT64_C(10000000) /* from there until we are in */

enum relay_login_state {
	RELAY_LOGIN_OFF,
	RELAY_LOGIN_DIALS, /* or its names are being looked up */
	RELAY_LOGIN_TALKS,
	RELAY_LOGIN_IN,
	RELAY_LOGIN_FAILED, /* @why */
};

struct relay_login;

struct relay_login_dial {
	struct relay_login *login;
	struct dial *dial;    /* NULL: over */
	struct relay_addr to; /* family 0: the host, by the proxy */
};

struct relay_login {
	struct core *core; /* borrowed, as what follows */
	const struct node_relay *record;
	struct relay_addrs *addrs;
	void (*changed)(void *ctx);
	void *ctx;

	enum relay_login_state state;
	struct err why;
	uint64_t next_us;  /* the next address */
	uint64_t until_us; /* to be in */
	struct relay_login_dial dials[RELAY_LOGIN_TARGETS];
	size_t n_dials;    /* begun */
	bool spares_proxy; /* it wants another user or password */
	bool stood;
	struct relay_addr to;   /* where it stood last */
	struct dial_conn *conn; /* owned */
	sd_event_source *io;
	struct derp_login *talk;        /* owned */
	uint8_t read[RELAY_LOGIN_READ]; /* what came behind the login is at ... */
	size_t read_at, read_len;       /* ... from here to there */
};

/*
 * To the relay of @record, which must last, as @addrs. @changed is called with @ctx when something
 * has happened: run again. It must not be moved in memory.
 */
void relay_login_init(struct relay_login *login, struct core *core, const struct node_relay *record,
	struct relay_addrs *addrs, void (*changed)(void *ctx), void *ctx);
/* Nothing is under way any more, and no connection is there. */
void relay_login_stop(struct relay_login *login);

/* From the start. */
void relay_login_begin(struct relay_login *login, uint64_t now_us);
/*
 * All that is due; @state says how far it has come. When it is to be called again, UINT64_MAX: not
 * before something happens.
 */
uint64_t relay_login_run(struct relay_login *login, uint64_t now_us);

/*
 * The signatures of struct ferry_stream (tunnel/ferry.h): @login is a struct relay_login that is
 * in, whose connection is by then another thread's alone.
 */
ssize_t relay_login_receive(void *login, void *ret, size_t len);
ssize_t relay_login_send(void *login, const void *data, size_t len);

/* Puts "TLS to HOST:PORT: " before what @err says, of where it stood last. */
void relay_login_blame(const struct relay_login *login, struct err *err);
