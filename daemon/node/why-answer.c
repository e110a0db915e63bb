/* why-answer: see why-internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node/why-internal.h"

/* design.md section 10; a board without it is in house "home". */
#define SITE_LABEL   "hearth.internal/site"
#define SITE_DEFAULT "home"

static const char *site_of(const struct node *node)
{
	const char *site =
		node ? json_string_value(json_object_get(node->labels, SITE_LABEL)) : NULL;

	return site ? site : SITE_DEFAULT;
}

/* Houses are worth a word where there are two of them. */
static void name_sites(const struct why *why, const struct why_call *call, struct why_case *c)
{
	const char *here = site_of(core_self(why->core));
	const char *there = site_of(netmap_by_id(book_netmap(why->core->book), call->id));

	if (!call->id || !strcmp(here, there))
		return;
	c->here.site = here;
	c->there.site = there;
}

/* By which it goes; else the one by which it would. */
static const char *name_relay(
	const struct why *why, const struct why_sources *sources, const struct why_facts *facts)
{
	uint32_t id = facts->relay;
	const struct node *node;

	for (size_t i = 0; i < sources->n_relays && !facts->relay; i++)
		if (!id || sources->relays[i].home)
			id = sources->relays[i].id;
	node = netmap_by_id(book_netmap(why->core->book), id);
	return node ? node->name : NULL;
}

static size_t list_witnesses(const struct why_call *call, struct why_witness *ret)
{
	size_t n = 0;

	for (size_t i = 1; i < call->n_asks; i++) {
		const struct why_ask *ask = &call->asks[i];
		const struct node *node = netmap_by_id(book_netmap(call->why->core->book), ask->id);

		if (ask->missing == WHY_MISSING_NOT && node)
			ret[n++] = (struct why_witness){ .name = node->name,
				.way = ask->facts.way,
				.heard_s = ask->facts.heard_s };
	}
	return n;
}

static const char *missing_name(enum why_missing missing)
{
	static const char *const names[] = { NULL, "unasked", "silent", "old", "refused" };

	return names[missing];
}

static json_t *text_or_null(const char *text)
{
	return text && *text ? json_string(text) : json_null();
}

static json_t *at_json(const struct why_case *c, unsigned at)
{
	json_t *list = json_array();

	if (at & WHY_AT_HERE)
		(void) json_array_append_new(list, json_string(c->here.name));
	if (at & WHY_AT_THERE)
		(void) json_array_append_new(list, json_string(c->there.name));
	return list;
}

static json_t *evidence_json(const struct why_verdict *v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < v->n_evidence; i++)
		(void) json_array_append_new(list, json_string(v->evidence[i]));
	return list;
}

static json_t *verdict_json(const struct why_call *call, const struct why_case *c)
{
	static const char *const ways[] = { "none", "direct", "relayed" };
	const struct why_facts *there = c->there.facts;
	struct why_finding finding;
	struct why_verdict v;

	why_find(c, &finding);
	why_tell(c, &finding, &v);
	return json_pack("{s:s,s:I,s:s,s:s,s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "name", c->there.name,
		"id", (json_int_t) call->id, "way", ways[finding.way], "cause",
		why_cause_name(finding.cause), "at", at_json(c, finding.at), "sentence", v.sentence,
		"fix", text_or_null(v.fix), "evidence", evidence_json(&v), "relay",
		text_or_null(c->relay), "here", why_facts_to_json(c->here.facts), "there",
		there ? why_facts_to_json(there) : json_null(), "missing",
		text_or_null(missing_name(c->missing)));
}

/* What this board knows is of the moment after the others have answered. */
void why_call_answer(struct why_call *call)
{
	struct why *why = call->why;
	const struct node *self = core_self(why->core);
	const struct presence *presence = book_presence(why->core->book, call->id);
	struct why_sources sources = { 0 };
	struct why_witness witnesses[WHY_WITNESSES_MAX];
	struct why_facts facts;
	struct why_ask *ask = &call->asks[0];
	enum why_missing missing = call->n_asks ? ask->missing : WHY_MISSING_UNASKED;
	struct why_case c = { .here = { .name = self ? self->name : "this board", .facts = &facts },
		.there = { .name = call->name,
			.facts = missing == WHY_MISSING_NOT ? &ask->facts : NULL },
		.missing = missing,
		.announced = presence ? presence->endpoints : NULL,
		.n_announced = presence ? presence->n_endpoints : 0,
		.removed = call->removed,
		.echo = call->echo,
		.witnesses = witnesses,
		.n_witnesses = list_witnesses(call, witnesses) };
	uint64_t began_us = clock_cpu_us();
	json_t *reply;

	why->hooks->look(why->ctx, &sources);
	why_facts_gather(why->core, &sources, peers_get(why->peers, call->id), call->id, &facts);
	name_sites(why, call, &c);
	c.relay = name_relay(why, &sources, &facts);
	reply = verdict_json(call, &c);
	ipc_request_charge(call->request, clock_cpu_us() - began_us);
	if (reply)
		ipc_request_reply(call->request, reply);
	else
		ipc_request_fail(call->request, "internal", "out of memory");
}
