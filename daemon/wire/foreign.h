/*
 * foreign: a relay that is no board of the mesh: a DERP server of somebody else's, as the settings
 * name it.
 */
#pragma once

#include "wire/outside.h"

enum { FOREIGN_TCP = 443, FOREIGN_STUN = 3478 }; /* where such a server listens by custom */

struct foreign {
	char name[FIELD_NAME_MAX];  /* what people call it, unique in the settings */
	struct outside at;          /* DERP over TLS, on TCP */
	uint16_t stun;              /* the same host's UDP port for STUN, 0: none */
	bool web;                   /* known by a certificate that the system's CAs vouch for, */
	uint8_t pin[FIELD_KEY_LEN]; /* else by its key: SHA-256 of its SPKI */
};

/* One entry of the list, PROTOCOL.md section 4. 0 or -EINVAL. */
int foreign_from_json(const json_t *json, struct foreign *ret, struct err *err);
/* Written over @origin (may be NULL), what was read. A new value, NULL when out of memory. */
json_t *foreign_to_json(const struct foreign *relay, const json_t *origin);
bool foreign_equal(const struct foreign *a, const struct foreign *b);

/*
 * As a person writes it: "HOST[:PORT][,name=NAME][,stun=PORT|none][,pin=PIN|web]". Without a name
 * it has the first label of the host, without a port those above, without a pin "web". -EINVAL with
 * @err as outside_choose().
 */
int foreign_choose(const char *text, struct foreign *ret, struct err *err);
