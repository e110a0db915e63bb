/*
 * The kernel is asked what is there before anything is changed.
 */
#include "node/iface.h"

#include <errno.h>
#include <net/if.h>
#include <sodium.h>
#include <string.h>

#include "sys/net/addr.h"
#include "sys/net/link.h"

int iface_find(struct nl *nl, const char *name, struct err *err)
{
	struct link link;
	int r = link_find(nl, name, &link, err);

	return r < 0 ? r : link.index;
}

static bool is_wanted(const struct link_addr *addr, const struct iface_want *want)
{
	return (addr->prefix_len == 32 && ip_addr_equal(&addr->addr, &want->own4)) ||
	       (addr->prefix_len == 128 && ip_addr_equal(&addr->addr, &want->own6)) ||
	       (addr->prefix_len == 64 && ip_addr_equal(&addr->addr, &want->link_local));
}

static bool has(const struct link_addr *have, size_t n, const struct ip_addr *addr, uint8_t len)
{
	for (size_t i = 0; i < n; i++)
		if (have[i].prefix_len == len && ip_addr_equal(&have[i].addr, addr))
			return true;
	return false;
}

static int add_missing(struct nl *nl, int index, const struct ip_addr *addr, uint8_t len,
	const struct link_addr *have, size_t n_have, struct err *err)
{
	struct link_addr want = {
		.ifindex = index,
		.addr = *addr,
		.prefix_len = len,
		.flags = addr->family == AF_INET6 ? IFA_F_NODAD : 0,
		.scope = ip_addr_is_link_local(addr) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
	};

	return has(have, n_have, addr, len) ? 0 : addr_add(nl, &want, err);
}

/* What the kernel's answer to an IPv6 address says of IPv6 itself. */
static enum iface_ipv6 judge_ipv6(int r)
{
	if (r == -EACCES) /* sysctl disable_ipv6 */
		return IFACE_IPV6_DISABLED;
	return r == -EOPNOTSUPP || r == -EAFNOSUPPORT ? IFACE_IPV6_NONE : IFACE_IPV6_UP;
}

static int apply_addrs(struct nl *nl, int index, const struct iface_want *want,
	enum iface_ipv6 *ret_ipv6, unsigned *changed, struct err *err)
{
	struct err why = { 0 };
	CLEANUP(free_p) struct link_addr *have = NULL;
	size_t n = 0;
	int r, first = 0;

	r = addr_list(nl, index, AF_UNSPEC, &have, &n, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		if (!is_wanted(&have[i], want))
			(void) addr_del(nl, &have[i], NULL); /* if it stays, it does no harm */
	r = add_missing(nl, index, &want->own4, 32, have, n, err);
	first = first ? first : r;
	if (!has(have, n, &want->own4, 32))
		*changed |= IFACE_ADDRS;
	r = add_missing(nl, index, &want->own6, 128, have, n, &why);
	*ret_ipv6 = judge_ipv6(r);
	if (*ret_ipv6 == IFACE_IPV6_UP && !has(have, n, &want->own6, 128))
		*changed |= IFACE_ADDRS;
	if (*ret_ipv6 == IFACE_IPV6_UP && r == 0)
		r = add_missing(nl, index, &want->link_local, 64, have, n, &why);
	if (*ret_ipv6 == IFACE_IPV6_UP && r < 0 && !first)
		first = err_set(err, r, "%s", why.text);
	return first;
}

static int tell_taken(const struct route *route, struct err *err)
{
	char text[PREFIX_TEXT_MAX], name[IF_NAMESIZE] = "?";

	(void) if_indextoname((unsigned) route->oif, name);
	return err_set(err, -EEXIST,
		"%s leads through %s already: another mesh on this machine has the same addresses, "
		"and keeps them",
		ip_prefix_format(&route->dst, text), name);
}

static int apply_routes(
	struct nl *nl, int index, const struct routes *want, unsigned *changed, struct err *err)
{
	struct route_filter filter = { .table = RT_TABLE_MAIN, .protocol = ROUTE_PROTOCOL_HEARTH };
	CLEANUP_ROUTES struct routes set = { 0 }, delete = { 0 };
	CLEANUP(free_p) struct route *have = NULL;
	ssize_t taken = -1;
	size_t n = 0;
	int r, first = 0;

	r = route_list(nl, &filter, &have, &n, err);
	if (r == 0)
		r = routes_compare(want, index, have, n, &set, &delete, &taken);
	if (r < 0)
		return r;
	if (taken >= 0)
		first = tell_taken(&have[taken], err);
	for (size_t i = 0; i < delete.n; i++)
		(void) route_del(nl, &delete.list[i], NULL); /* gone already is as good */
	if (set.n)
		*changed |= IFACE_ROUTES;
	for (size_t i = 0; i < set.n; i++) {
		r = route_replace(nl, &set.list[i], first ? NULL : err);
		first = first ? first : r;
	}
	return first;
}

const char *iface_alias(const char *mesh, uint32_t node, char ret[static IFACE_ALIAS_MAX])
{
	(void) snprintf(ret, IFACE_ALIAS_MAX, "Hearth mesh %s, node %u", mesh, (unsigned) node);
	return ret;
}

static int apply_link(struct nl *nl, const struct link *link, const struct iface_want *want,
	unsigned *changed, struct err *err)
{
	int r, first = 0;

	if (strcmp(link->alias, want->alias) != 0)
		(void) link_set_alias(nl, link->index, want->alias, NULL); /* the name has to do */
	if (!(link->flags & IFF_UP))
		(void) link_set_no_autoaddr6(
			nl, link->index, NULL); /* else there is one more address */
	if (link->mtu != want->mtu) {
		*changed |= IFACE_MTU;
		first = link_set_mtu(nl, link->index, want->mtu, err);
	}
	if (!(link->flags & IFF_UP)) {
		*changed |= IFACE_DOWN;
		r = link_set_up(nl, link->index, true, first ? NULL : err);
		first = first ? first : r;
	}
	return first;
}

int iface_apply(struct nl *nl, const struct iface_want *want, enum iface_ipv6 *ret_ipv6,
	unsigned *ret_changed, struct err *err)
{
	struct link link;
	int r, first;

	*ret_ipv6 = IFACE_IPV6_UP;
	*ret_changed = 0;
	r = link_get(nl, want->index, &link, err);
	if (r < 0)
		return r;
	first = apply_link(nl, &link, want, ret_changed, err);
	r = apply_addrs(nl, link.index, want, ret_ipv6, ret_changed, first ? NULL : err);
	first = first ? first : r;
	if (*ret_ipv6 != IFACE_IPV6_UP)
		routes_drop_ipv6(want->routes);
	r = apply_routes(nl, link.index, want->routes, ret_changed, first ? NULL : err);
	return first ? first : r;
}

/*
 * Before Linux 6.2 one that is up cannot be renamed; what is lost by taking it down, iface_apply()
 * brings.
 */
static int rename_link(struct nl *nl, int index, const char *name, struct err *err)
{
	int r = link_set_name(nl, index, name, err);

	if (r != -EBUSY)
		return r;
	r = link_set_up(nl, index, false, err);
	return r < 0 ? r : link_set_name(nl, index, name, err);
}

int iface_rename(struct nl *nl, int index, const char *name, struct err *err)
{
	struct link other;
	int r = rename_link(nl, index, name, err);

	if (r == -EEXIST && link_find(nl, name, &other, NULL) == 0)
		return err_set(err, r, "%s is the name of another link now (number %d%s%s)", name,
			other.index, other.kind[0] ? ", a " : "", other.kind);
	return r;
}

int iface_reclaim(struct nl *nl, const char *name, const char *alias,
	char ret_was[static IF_NAMESIZE], struct err *err)
{
	CLEANUP(free_p) struct link *links = NULL;
	const struct link *ours = NULL;
	bool taken = false;
	size_t n = 0;
	int r = link_list(nl, &links, &n, err);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (!strcmp(links[i].name, name))
			taken = true;
		else if (!strcmp(links[i].kind, "tun") && !strcmp(links[i].alias, alias))
			ours = &links[i];
	if (r < 0 || !ours)
		return r;
	memcpy(ret_was, ours->name, IF_NAMESIZE);
	r = taken ? link_delete(nl, ours->index, err) : rename_link(nl, ours->index, name, err);
	return r < 0 ? r : taken ? 2 : 1;
}

int iface_clear(struct nl *nl, const char *name, struct err *err)
{
	struct routes none = { 0 };
	CLEANUP(free_p) struct link_addr *have = NULL;
	unsigned changed = 0;
	struct link link;
	size_t n = 0;
	int r;

	r = link_find(nl, name, &link, err);
	if (r < 0)
		return r;
	(void) apply_routes(
		nl, link.index, &none, &changed, NULL); /* taking the link down does it as well */
	if (addr_list(nl, link.index, AF_UNSPEC, &have, &n, NULL) == 0)
		for (size_t i = 0; i < n; i++)
			(void) addr_del(nl, &have[i], NULL);
	return link_set_up(nl, link.index, false, err);
}

int iface_remove(struct nl *nl, const char *name, struct err *err)
{
	struct link link;
	int r = link_find(nl, name, &link, err);

	if (r < 0)
		return r;
	if (strcmp(link.kind, "tun") != 0)
		return err_set(err, -EEXIST, "%s is no TUN device and not ours to remove", name);
	return link_delete(nl, link.index, err);
}

struct ip_addr iface_link_local(
	const uint8_t seed[static FIELD_KEY_LEN], const char *mesh, const char *ifname)
{
	struct ip_addr addr = { .family = AF_INET6, .bytes = { 0xfe, 0x80 } };
	uint8_t out[crypto_generichash_BYTES_MIN];
	crypto_generichash_state hash;

	(void) crypto_generichash_init(&hash, seed, FIELD_KEY_LEN, crypto_generichash_BYTES_MIN);
	(void) crypto_generichash_update(&hash, (const uint8_t *) "hearth-link-local", 18);
	(void) crypto_generichash_update(&hash, (const uint8_t *) mesh, strlen(mesh) + 1);
	(void) crypto_generichash_update(&hash, (const uint8_t *) ifname, strlen(ifname) + 1);
	(void) crypto_generichash_final(&hash, out, sizeof(out));
	sodium_memzero(&hash, sizeof(hash));
	memcpy(addr.bytes + 8, out, 8);
	/*
	 * RFC 5453 reserves ::0 and fdff:ffff:ffff:ff80 and above; 2^-57 of all secrets meet them.
	 */
	addr.bytes[8] &= 0x7f;
	addr.bytes[15] |= 1;
	return addr;
}
