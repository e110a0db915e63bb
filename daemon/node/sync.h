/*
 * sync: the board's side of the coordinator's API (PROTOCOL.md section 7): one long poll after the
 * other, our presence put until it is known, what else there is put once. Everything is tried again
 * for ever, at most every 30 s, at once when the network changed. Never blocks.
 */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "base/err.h"
#include "base/json.h"
#include "base/pace.h"
#include "wire/api.h"
#include "wire/proxy.h"

struct sync;

struct sync_hooks {
	/*
	 * News came. A negative result (news that must not be believed) makes the next poll wait.
	 */
	int (*news)(void *ctx, const struct api_news *news);
	/* Where the log stands, and which bundle we have ("": none), for the next poll. */
	void (*position)(void *ctx, uint64_t *ret_seq, const char **ret_kube);
	/*
	 * The connection came, went, or fails for another reason. @say: a line is due; @away: how
	 * long it was gone (zero: it is the first one), NULL while there is none.
	 */
	void (*changed)(void *ctx, bool say, const struct trouble_end *away);
};

struct sync_options {
	const char *const *urls;
	size_t n_urls;
	const char *const *pins;
	size_t n_pins;
	const char *cert_pem, *key_pem;
	const char *proxy;          /* NULL: none */
	const enum proxy_use *uses; /* of each of the URLs; NULL: never */
};

struct sync_state {
	bool connected;
	uint64_t since_us;        /* wall clock, of the last change; 0: nothing tried yet */
	uint64_t contact_us;      /* wall clock, of the last answer; 0: none yet */
	char url[256];            /* of the last answer */
	char code[64];            /* of the coordinator's refusal, "" otherwise */
	char error[ERR_TEXT_MAX]; /* while not connected: why */
};

int sync_new(sd_event *event, const struct sync_options *options, const struct sync_hooks *hooks,
	void *ctx, struct sync **ret, struct err *err);
/* What is being put ends with -ECANCELED, told from within. */
struct sync *sync_free(struct sync *sync);
int sync_configure(struct sync *sync, const struct sync_options *options, struct err *err);

/* Begins to poll. */
void sync_start(struct sync *sync);
/* Ends it, for good. */
void sync_stop(struct sync *sync);

/*
 * @doc (a reference is taken) is put until the coordinator has it, and again when it is a new one.
 */
void sync_set_presence(struct sync *sync, json_t *doc);

/* Connections over the old link are given up, and what waits is tried at once. */
void sync_link_changed(struct sync *sync);

/*
 * PUT @path (a literal) once. @done is called once: 0, or a negative errno and a sentence. What is
 * put is wiped afterwards.
 */
typedef void (*sync_done_fn)(void *ctx, int r, const struct err *err);
int sync_put(struct sync *sync, const char *path, const json_t *doc, sync_done_fn done, void *ctx,
	struct err *err);

/* Borrowed. */
const struct sync_state *sync_state(const struct sync *sync);
