/* addrs: see addrs.h. Asked of rtnetlink, which needs no rights. */
#include "coordinator/addrs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "board/links.h"

static int look(const struct links_rules *rules, struct links_facts *ret_facts, struct links *ret,
	struct err *err)
{
	CLEANUP_NL struct nl *nl = NULL;
	int r = nl_open(&nl, err);

	if (r == 0)
		r = links_facts_read(nl, ret_facts, err);
	if (r == 0 && links_judge(ret_facts, rules, ret) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	return r;
}

static bool is_tailscale(const struct link_verdict *v)
{
	return !strncmp(v->name, "tailscale", 9);
}

static void add_local(
	struct addrs_locals *locals, const struct link_verdict *v, const struct link_addr *addr)
{
	char *name = locals->names[locals->n];

	if (locals->n == ADDRS_LOCALS_MAX || ip_addr_is_loopback(&addr->addr) ||
		ip_addr_is_link_local(&addr->addr))
		return;
	(void) snprintf(name, ADDRS_NAME_MAX, "%s", v->name);
	locals->list[locals->n++] = (struct ranges_local){
		.prefix = ip_prefix_of(&addr->addr, addr->prefix_len),
		.name = name,
	};
}

int addrs_locals(struct addrs_locals *ret, struct err *err)
{
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	CLEANUP_LINKS struct links links = { 0 };
	struct links_rules rules = { 0 };
	int r = look(&rules, &facts, &links, err);

	ret->n = 0;
	ret->flags = 0;
	if (r < 0)
		return r;
	for (size_t i = 0; i < links.n; i++) {
		const struct link_verdict *v = &links.list[i];

		if (is_tailscale(v)) { /* its own address is what the flag is about */
			ret->flags |= RANGES_TAILSCALE;
			continue;
		}
		if (v->class == LINK_CLASS_MESH || v->class == LINK_CLASS_POD)
			continue;
		for (size_t k = 0; k < facts.n_addrs; k++)
			if (facts.addrs[k].ifindex == v->index)
				add_local(ret, v, &facts.addrs[k]);
	}
	return 0;
}

int addrs_urls(
	const struct settings *settings, uint16_t port, char (*ret)[FIELD_URL_MAX], struct err *err)
{
	CLEANUP_LINKS_FACTS struct links_facts facts = { 0 };
	CLEANUP_LINKS struct links links = { 0 };
	struct ip_prefix ranges[SETTINGS_RANGES];
	struct links_rules rules = { .denied = ranges, .lasting = true };
	size_t n = 0;
	int r;

	rules.n_denied = settings_ranges(settings, ranges);
	r = look(&rules, &facts, &links, err);
	if (r < 0)
		return r;
	for (; n < links.n_addrs && n < FIELD_URLS_MAX; n++) {
		struct endpoint e = { .addr = links.addrs[n].addr, .port = port };
		char text[ENDPOINT_TEXT_MAX];

		(void) snprintf(ret[n], FIELD_URL_MAX, "https://%s", endpoint_format(&e, text));
	}
	return (int) n;
}
