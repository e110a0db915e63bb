/*
 * conf: the network configuration on the plugin's standard input. Fields we do not know are
 * ignored, those of runtimeConfig are matched without regard to case (containerd capitalises them).
 */
#pragma once

#include <net/if.h>

#include "base/ip.h"
#include "base/json.h"
#include "cni/codes.h"
#include "cni/env.h"

enum conf_version { CONF_0_4_0, CONF_1_0_0, CONF_1_1_0, CONF_VERSIONS };

enum { CONF_SUBNETS_MAX = 16, CONF_INPUT_MAX = 4 << 20, CONF_NAME_MAX = 63 };

struct conf {
	json_t *json; /* owned; what follows borrows from it */
	enum conf_version version;
	const char *name;
	char device[IFNAMSIZ];       /* the mesh interface, default hearth0 */
	struct ip_addr node4, node6; /* this board's mesh addresses; family 0: none */
	struct ip_prefix subnets[CONF_SUBNETS_MAX];
	size_t n_subnets;
	struct ip_addr want[CONF_SUBNETS_MAX]; /* addresses the runtime asks for */
	size_t n_want;
	const json_t *prev;  /* prevResult, an object, or NULL */
	const json_t *dns;   /* object, or NULL */
	const json_t *valid; /* GC: cni.dev/valid-attachments, checked; NULL if absent */
};

void conf_done(struct conf *conf);
#define CLEANUP_CONF CLEANUP(conf_done)

/*
 * Reads @text for @verb: what the verb does not use is not checked. Fills @ret->version (and
 * nothing else) even on failure, as soon as it is known.
 */
enum cni_code conf_parse(
	const char *text, size_t len, enum verb verb, struct conf *ret, struct err *err);

/*
 * *@version, if @text says one that is supported. Whatever else is wrong with @text does not
 * matter.
 */
void conf_peek_version(const char *text, size_t len, enum conf_version *version);

const char *conf_version_name(enum conf_version version);
