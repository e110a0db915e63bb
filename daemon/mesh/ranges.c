/* ranges: see ranges.h. */
#include "mesh/ranges.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A range as a person knows it: what it is for and the flag that sets it. */
static const struct named {
	const char *what, *flag;
	size_t offset;
	uint8_t family;
	bool overlaps_ula; /* ula itself, whose parts are compared instead */
} named[] = {
	{ "mesh range", "--mesh4", offsetof(struct settings, mesh4), AF_INET, false },
	{ "pod range", "--pods4", offsetof(struct settings, pods4), AF_INET, false },
	{ "service range", "--services4", offsetof(struct settings, services4), AF_INET, false },
	{ "ULA", "--ula", offsetof(struct settings, ula), AF_INET6, true },
	{ "mesh range", "--ula", offsetof(struct settings, mesh6), AF_INET6, false },
	{ "pod range", "--pods6", offsetof(struct settings, pods6), AF_INET6, false },
	{ "service range", "--services6", offsetof(struct settings, services6), AF_INET6, false },
};

/* Addresses that are something else everywhere. */
static const struct {
	const char *prefix, *what;
} special[] = {
	{ "0.0.0.0/8", "\"this network\"" },
	{ "127.0.0.0/8", "loopback" },
	{ "169.254.0.0/16", "link-local" },
	{ "224.0.0.0/4", "multicast" },
	{ "240.0.0.0/4", "reserved" },
	{ "::/8", "reserved" },
	{ "fe80::/10", "link-local" },
	{ "ff00::/8", "multicast" },
};

/* Tailscale's firewall drops what comes from these and not from its own interface. */
static const char *const tailscale[] = { "100.64.0.0/10", "fd7a:115c:a1e0::/48" };

/* Nobody in the internet has these. */
static const char *const private4[] = { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
	"100.64.0.0/10" };

static const struct ip_prefix *range_of(const struct settings *settings, const struct named *range)
{
	return (const struct ip_prefix *) ((const char *) settings + range->offset);
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix ret = { 0 };

	(void) ip_prefix_parse(text, &ret);
	return ret;
}

static bool is_special(const struct ip_prefix *p)
{
	for (size_t i = 0; i < ARRAY_LEN(special); i++) {
		struct ip_prefix other = prefix(special[i].prefix);

		if (ip_prefix_overlaps(p, &other))
			return true;
	}
	return false;
}

int ranges_set_ula(struct settings *settings, const struct ip_prefix *ula)
{
	struct ip_prefix block;

	if (ula->addr.family != AF_INET6 || ula->len != 48 || ula->addr.bytes[0] != 0xfd)
		return -EINVAL;
	settings->ula = *ula;
	(void) ip_prefix_subnet(ula, 64, 0, &settings->mesh6);
	(void) ip_prefix_subnet(ula, 56, 0x10, &settings->pods6);
	(void) ip_prefix_subnet(ula, 64, 0xf000, &block);
	(void) ip_prefix_subnet(&block, 112, 0, &settings->services6);
	return 0;
}

void ranges_set_defaults(struct settings *settings, const uint8_t random[static RANGES_RANDOM_LEN])
{
	struct ip_prefix ula = { .addr = { .family = AF_INET6, .bytes = { 0xfd } }, .len = 48 };

	memcpy(ula.addr.bytes + 1, random, RANGES_RANDOM_LEN);
	settings->mesh4 = prefix("10.77.0.0/16");
	settings->pods4 = prefix("10.244.0.0/16");
	settings->services4 = prefix("10.96.0.0/16");
	(void) ranges_set_ula(settings, &ula);
	settings_set_virtual(settings);
}

/* True if @candidate meets no range but @range, no local prefix and nothing special. */
static bool is_free(const struct settings *settings, const struct named *range,
	const struct ip_prefix *candidate, const struct ranges_local *locals, size_t n_locals)
{
	for (size_t i = 0; i < ARRAY_LEN(named); i++)
		if (&named[i] != range &&
			ip_prefix_overlaps(candidate, range_of(settings, &named[i])))
			return false;
	for (size_t i = 0; i < n_locals; i++)
		if (locals[i].prefix.len && ip_prefix_overlaps(candidate, &locals[i].prefix))
			return false;
	return !is_special(candidate);
}

/*
 * Says which flag helps and, for IPv4, with what: the next free range of the same length among the
 * private ones (10.0.0.0/8 upwards from where the default lies, then 172.16.0.0/12).
 */
static int refuse(const struct settings *settings, const struct named *range,
	const struct ranges_local *locals, size_t n_locals, struct err *err, const char *why)
{
	char text[PREFIX_TEXT_MAX], free_text[PREFIX_TEXT_MAX] = "PREFIX";
	const struct ip_prefix *current = range_of(settings, range);

	for (unsigned i = 0; range->family == AF_INET && current->len >= 16 && i < 256 + 16; i++) {
		struct ip_prefix candidate = { .addr = { .family = AF_INET }, .len = current->len };

		candidate.addr.bytes[0] = i < 256 ? 10 : 172;
		candidate.addr.bytes[1] = (uint8_t) (i < 256 ? i + 77 : i - 256 + 16);
		if (is_free(settings, range, &candidate, locals, n_locals)) {
			(void) ip_prefix_format(&candidate, free_text);
			break;
		}
	}
	return err_set(err, -EADDRINUSE,
		"The %s %s %s. The ranges are fixed when the mesh is made; "
		"choose another with `hearth-coord init %s %s`%s.",
		range->what, ip_prefix_format(current, text), why, range->flag, free_text,
		!strcmp(range->flag, "--ula") ? ", or leave the flag out for a random one" : "");
}

static int check_places(const struct settings *settings, struct err *err)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(named); i++)
		for (size_t j = 0; j < ARRAY_LEN(special); j++) {
			const struct ip_prefix *range = range_of(settings, &named[i]);
			struct ip_prefix other = prefix(special[j].prefix);

			if (ip_prefix_overlaps(range, &other))
				return err_set(err, -EINVAL,
					"The %s %s lies in %s, which is %s. "
					"Choose another with `hearth-coord init %s`.",
					named[i].what, ip_prefix_format(range, text),
					special[j].prefix, special[j].what, named[i].flag);
		}
	return 0;
}

static bool is_within(const struct ip_prefix *outer, const struct ip_prefix *inner)
{
	return outer->len <= inner->len && ip_prefix_overlaps(outer, inner);
}

static bool is_private(const struct settings *settings, const struct ip_prefix *range)
{
	if (range->addr.family == AF_INET6)
		return is_within(&settings->ula, range);
	for (size_t i = 0; i < ARRAY_LEN(private4); i++) {
		struct ip_prefix outer = prefix(private4[i]);

		if (is_within(&outer, range))
			return true;
	}
	return false;
}

static int check_private(const struct settings *settings, const struct ranges_local *locals,
	size_t n_locals, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		char why[160];

		if (is_private(settings, range_of(settings, &named[i])))
			continue;
		snprintf(why, sizeof(why),
			"is %s: what this machine sends to whoever has these addresses elsewhere "
			"would go into the mesh",
			named[i].family == AF_INET6
				? "not in the ULA"
				: "neither private (RFC 1918) nor in 100.64.0.0/10");
		(void) refuse(settings, &named[i], locals, n_locals, err, why);
		size_t len = strlen(err->text);

		(void) snprintf(err->text + len, sizeof(err->text) - len,
			" If they are yours, --allow-public-ranges allows it on this machine.");
		return err->code = -EPERM;
	}
	return 0;
}

/*
 * The later of the two in the table is to move: the mesh range is what people have in their heads.
 */
static int check_each_other(const struct settings *settings, const struct ranges_local *locals,
	size_t n_locals, struct err *err)
{
	for (size_t j = 0; j < ARRAY_LEN(named); j++)
		for (size_t i = 0; i < j; i++) {
			const struct ip_prefix *a = range_of(settings, &named[i]);
			const struct ip_prefix *b = range_of(settings, &named[j]);
			char text[PREFIX_TEXT_MAX], why[128];

			if (named[i].overlaps_ula || named[j].overlaps_ula ||
				!ip_prefix_overlaps(a, b))
				continue;
			snprintf(why, sizeof(why), "overlaps the %s %s (%s)", named[i].what,
				ip_prefix_format(a, text), named[i].flag);
			return refuse(settings, &named[j], locals, n_locals, err, why);
		}
	return 0;
}

static int check_locals(const struct settings *settings, const struct ranges_local *locals,
	size_t n_locals, struct err *err)
{
	for (size_t i = 0; i < n_locals; i++) {
		const struct ip_prefix *local = &locals[i].prefix;
		char text[PREFIX_TEXT_MAX], why[160];

		if (!local->len || is_special(local))
			continue;
		for (size_t j = 0; j < ARRAY_LEN(named); j++) {
			if (!ip_prefix_overlaps(range_of(settings, &named[j]), local))
				continue;
			snprintf(why, sizeof(why), "overlaps %s, which is in use here on %.64s",
				ip_prefix_format(local, text), locals[i].name);
			return refuse(settings, &named[j], locals, n_locals, err, why);
		}
	}
	return 0;
}

static int check_tailscale(const struct settings *settings, const struct ranges_local *locals,
	size_t n_locals, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(tailscale); i++)
		for (size_t j = 0; j < ARRAY_LEN(named); j++) {
			struct ip_prefix theirs = prefix(tailscale[i]);
			char why[192];

			if (!ip_prefix_overlaps(range_of(settings, &named[j]), &theirs))
				continue;
			snprintf(why, sizeof(why),
				"lies in %s, and the Tailscale installed here drops what comes "
				"from there by another interface",
				tailscale[i]);
			return refuse(settings, &named[j], locals, n_locals, err, why);
		}
	return 0;
}

int ranges_check(const struct settings *settings, const struct ranges_local *locals,
	size_t n_locals, unsigned flags, struct err *err)
{
	int r;

	if ((r = settings_check_ranges(settings, err)) || (r = check_places(settings, err)) ||
		(r = check_each_other(settings, locals, n_locals, err)))
		return r;
	if ((flags & RANGES_TAILSCALE) && (r = check_tailscale(settings, locals, n_locals, err)))
		return r;
	r = check_locals(settings, locals, n_locals, err);
	if (r == 0 && (flags & RANGES_ONLY_PRIVATE))
		r = check_private(settings, locals, n_locals, err);
	return r;
}
