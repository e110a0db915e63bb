/* why-evidence: the lines below the sentence: what it is made from. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "mesh/why-internal.h"

enum { CLOCKS_APART_S = 30 };

static const char *const families[WHY_FAMILIES] = { "IPv4", "IPv6" };

__attribute__((format(printf, 2, 3))) static void add(
	struct why_verdict *v, const char *format, ...)
{
	va_list args;

	if (v->n_evidence == WHY_EVIDENCE_MAX)
		return;
	va_start(args, format);
	(void) vsnprintf(v->evidence[v->n_evidence++], WHY_TEXT_MAX, format, args);
	va_end(args);
}

/* --- of one end --- */

/* "UDP gets out by IPv4, not by IPv6" */
static void add_udp(const struct why_facts *f, struct buf *ret)
{
	for (enum why_known known = WHY_YES; known <= WHY_NO; known++)
		for (enum why_family k = 0; k < WHY_FAMILIES; k++)
			if (f->udp[k] == known)
				buf_printf(ret, "%sUDP by %s %s", ret->len ? ", " : "", families[k],
					known == WHY_YES ? "gets out" : "is not answered");
}

static void add_nat(const struct why_facts *f, struct buf *ret)
{
	static const char *const mappings[] = {
		[WHY_MAPPING_UNKNOWN] = "",
		[WHY_MAPPING_NONE] = "no NAT",
		[WHY_MAPPING_SAME] = "its NAT keeps one port (easy)",
		[WHY_MAPPING_COUNTING] = "its NAT takes the next port for each destination (hard)",
		[WHY_MAPPING_RANDOM] = "its NAT takes another port for each destination (hard)",
	};
	char text[ENDPOINT_TEXT_MAX];

	if (*mappings[f->mapping])
		buf_printf(ret, "%s%s", ret->len ? ", " : "", mappings[f->mapping]);
	if (f->n_outside)
		buf_printf(ret, "%sseen from outside at %s", ret->len ? ", " : "",
			endpoint_format(&f->outside[0], text));
}

static void add_portmap(const struct why_facts *f, struct buf *ret)
{
	static const char *const texts[] = {
		[WHY_PORTMAP_UNKNOWN] = "",
		[WHY_PORTMAP_OFF] = "port mapping is switched off",
		[WHY_PORTMAP_NONE] = "its router offers no port mapping",
		[WHY_PORTMAP_REFUSED] = "its router refuses to map a port",
		[WHY_PORTMAP_BEHIND] = "its router is behind another NAT",
		[WHY_PORTMAP_MAPPED] = "its router maps a port",
	};

	if (!*texts[f->portmap])
		return;
	buf_printf(ret, "%s%s", ret->len ? ", " : "", texts[f->portmap]);
	if (*f->portmap_by)
		buf_printf(ret, " (%s)", f->portmap_by);
}

static void tell_network(const struct why_end *end, struct why_verdict *v)
{
	const struct why_facts *f = end->facts;
	CLEANUP_BUF struct buf text = { 0 };

	add_udp(f, &text);
	add_nat(f, &text);
	add_portmap(f, &text);
	if (f->proxy)
		buf_printf(&text, "%sTCP goes by a proxy", text.len ? ", " : "");
	if (!f->n_addrs)
		buf_printf(
			&text, "%sit has no address that others could try", text.len ? ", " : "");
	if (text.len)
		add(v, "%s: %s", end->name, buf_str(&text));
}

static const char *span(uint32_t s, char ret[static 24])
{
	if (s == WHY_NEVER)
		(void) snprintf(ret, 24, "never");
	else
		(void) snprintf(ret, 24, "%" PRIu32 " s ago", s);
	return ret;
}

static void tell_pings(
	const struct why_end *end, const struct why_end *other, struct why_verdict *v)
{
	char sent[24], answered[24], heard[24];

	for (enum why_family k = 0; k < WHY_FAMILIES; k++) {
		const struct why_pings *p = &end->facts->pings[k];

		if (p->sent_s < WHY_SELDOM_S || p->heard_s < WHY_SELDOM_S)
			add(v,
				"%s: last ping to %s addresses of %s %s, last answer %s, last ping "
				"from there %s",
				end->name, families[k], other->name, span(p->sent_s, sent),
				span(p->answered_s, answered), span(p->heard_s, heard));
	}
}

/* --- of both --- */

static void tell_tunnel(const struct why_case *c, struct why_verdict *v)
{
	const struct why_facts *f = c->here.facts;
	char heard[24], handshake[24], mtu[48] = "";

	if (f->mtu)
		(void) snprintf(mtu, sizeof(mtu), "; packets of %" PRIu32 " bytes fit", f->mtu);
	add(v, "the tunnel heard %s %s, last handshake %s%s", c->there.name,
		span(f->heard_s, heard), span(f->handshake_s, handshake), mtu);
}

static void tell_missing(const struct why_case *c, struct why_verdict *v)
{
	static const char *const texts[] = {
		[WHY_MISSING_NOT] = NULL,
		[WHY_MISSING_UNASKED] = NULL,
		[WHY_MISSING_SILENT] = "does not answer",
		[WHY_MISSING_OLD] = "has an older Hearth, which does not know the question",
		[WHY_MISSING_REFUSED] = "did not say what it knows",
	};

	if (texts[c->missing])
		add(v, "only this board's end is known: %s %s", c->there.name, texts[c->missing]);
}

static void tell_others(const struct why_case *c, struct why_verdict *v)
{
	char text[IP_TEXT_MAX], ago[24];

	if (c->echo.family)
		add(v, "the machine of %s answers ICMP at %s", c->there.name,
			ip_addr_format(&c->echo, text));
	if (c->here.facts->absent)
		add(v, "relay %s says that %s is not there", c->relay ? c->relay : "?",
			c->there.name);
	for (size_t i = 0; i < c->n_witnesses; i++) {
		const struct why_witness *w = &c->witnesses[i];

		if (w->way == WHY_WAY_NONE)
			add(v, "%s does not reach it either, heard it %s", w->name,
				span(w->heard_s, ago));
		else
			add(v, "%s reaches it %s, heard it %s", w->name,
				w->way == WHY_WAY_DIRECT ? "directly" : "by a relay",
				span(w->heard_s, ago));
	}
}

static void tell_differences(const struct why_case *c, struct why_verdict *v)
{
	const struct why_facts *a = c->here.facts, *b = c->there.facts;
	uint64_t apart = a->time_s > b->time_s ? a->time_s - b->time_s : b->time_s - a->time_s;

	if (apart > CLOCKS_APART_S)
		add(v, "the clock of %s is %" PRIu64 " s behind that of %s",
			a->time_s < b->time_s ? c->here.name : c->there.name, apart,
			a->time_s < b->time_s ? c->there.name : c->here.name);
	if (a->seq != b->seq)
		add(v, "%s has record %" PRIu64 " of the log, and %s only %" PRIu64,
			a->seq > b->seq ? c->here.name : c->there.name,
			a->seq > b->seq ? a->seq : b->seq,
			a->seq > b->seq ? c->there.name : c->here.name,
			a->seq > b->seq ? b->seq : a->seq);
	if (strcmp(a->version, b->version) != 0)
		add(v, "%s runs version %s, %s version %s", c->here.name, a->version, c->there.name,
			b->version);
}

void why_list_evidence(
	const struct why_case *c, const struct why_finding *finding, struct why_verdict *v)
{
	bool direct = finding->way == WHY_WAY_DIRECT;

	if (c->here.facts->self == WHY_SELF_UP && !c->removed)
		tell_tunnel(c, v);
	tell_missing(c, v);
	tell_network(&c->here, v);
	if (c->there.facts)
		tell_network(&c->there, v);
	if (!direct)
		tell_pings(&c->here, &c->there, v);
	if (!direct && c->there.facts)
		tell_pings(&c->there, &c->here, v);
	tell_others(c, v);
	if (c->there.facts)
		tell_differences(c, v);
}
