/*
 * outside: where something is found that is no board of the mesh: a host and a port. As records
 * keep it there is one way to write each; a person may write it in any, and is told what is wrong.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/fields.h"

enum { OUTSIDE_TEXT_MAX = FIELD_HOST_MAX + 10 }; /* "[" host "]:65535" */

struct outside {
	char host[FIELD_HOST_MAX]; /* a DNS name in lower case or an address, without brackets */
	uint16_t port;             /* not 0 */
};

/*
 * Why no other machine finds anything at @addr, or at @host, a name or an address in any form:
 * loopback, link-local, multicast, unspecified or broadcast addresses. A clause ("no single machine
 * has it"); NULL: one may. An IPv4 address in IPv6 form is that address.
 */
const char *outside_addr_objection(const struct ip_addr *addr);
const char *outside_host_objection(const char *host);

/*
 * Whether a record may name @host: a DNS name in lower case, or an address as ip_addr_format()
 * prints it that other machines can reach: not loopback, link-local, multicast or unspecified, and
 * no IPv4 address in IPv6 form.
 */
bool outside_host_is_valid(const char *host);

/* The one way to write @host, in its place; what is no host stays as it is. */
void outside_host_write(char host[static FIELD_HOST_MAX]);

/* "HOST:PORT", an IPv6 address in brackets, exactly as outside_format() writes it. 0 or -EINVAL. */
int outside_parse(const char *text, struct outside *ret);
const char *outside_format(const struct outside *at, char ret[static OUTSIDE_TEXT_MAX]);
bool outside_equal(const struct outside *a, const struct outside *b);

/*
 * The same of a person's text: any case, a dot at the end, an address in any form; without a port
 * it has @port. -EINVAL with @err: a clause that names @text, says why it cannot be, and what would
 * do.
 */
int outside_choose(const char *text, uint16_t port, struct outside *ret, struct err *err);

/*
 * The URL of a coordinator, of a person's text likewise: "https://HOST[:PORT]". Its host may be
 * any that a URL may have (fields.h). Of a text with a user or a password nothing is repeated.
 */
int outside_choose_url(const char *text, char ret[static FIELD_URL_MAX], struct err *err);
