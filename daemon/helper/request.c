/*
 * hearthd may be taken over by whoever finds a hole in it, so nothing it says is believed: only
 * these calls, only these fields, only these values.
 */
#include "helper/request.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/names.h"

void request_done(struct request *request)
{
	free(request->entries);
	kube_bundle_done(&request->bundle);
	*request = (struct request){ 0 };
}

/* A name that stays inside its directory and that the kernel would accept. */
static bool ifname_is_valid(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len < IFNAMSIZ && name[0] != '.' &&
	       strspn(name,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_=+.-") ==
		       len;
}

static int read_ifname(const json_t *args, struct request *request, struct err *err)
{
	const char *name;
	int r = json_get_str(args, "ifname", &name, err);

	if (r < 0)
		return r;
	if (!ifname_is_valid(name))
		return err_set(err, -EINVAL, "ifname: not the name of an interface");
	(void) snprintf(request->ifname, sizeof(request->ifname), "%s", name);
	return 0;
}

/* Without "ifname" it is the block of hearth0. */
static int read_hosts(const json_t *args, struct request *request, struct err *err)
{
	static const char *const known[] = { "entries", "ifname", NULL };
	int r = json_only(args, known, err);

	(void) snprintf(request->ifname, sizeof(request->ifname), "%s", NAMES_LINK_DEFAULT);
	if (r == 0 && json_has(args, "ifname"))
		r = read_ifname(args, request, err);
	if (r < 0)
		return r;
	return hosts_entries_from_json(
		json_object_get(args, "entries"), &request->entries, &request->n_entries, err);
}

static int read_only_ifname(const json_t *args, struct request *request, struct err *err)
{
	static const char *const known[] = { "ifname", NULL };
	int r = json_only(args, known, err);

	return r < 0 ? r : read_ifname(args, request, err);
}

static int read_nothing(const json_t *args, struct request *request, struct err *err)
{
	static const char *const known[] = { NULL };

	return json_only(args, known, err);
}

static int read_kube(const json_t *args, struct request *request, struct err *err)
{
	static const char *const known[] = { "bundle", NULL };
	json_t *bundle;
	int r = json_only(args, known, err);

	if (r == 0)
		r = json_get_object(args, "bundle", &bundle, err);
	return r < 0 ? r : kube_bundle_from_json(bundle, &request->bundle, err);
}

static const struct {
	const char *call;
	enum request_kind kind;
	int (*read)(const json_t *args, struct request *request, struct err *err);
} calls[] = {
	{ "hosts.write", REQUEST_HOSTS_WRITE, read_hosts },
	{ "uapi.open", REQUEST_UAPI_OPEN, read_only_ifname },
	{ "ipv6.enable", REQUEST_IPV6_ENABLE, read_only_ifname },
	{ "tun.open", REQUEST_TUN_OPEN, read_nothing },
	{ "resolv.follow", REQUEST_RESOLV_FOLLOW, read_nothing },
	{ "kube.join", REQUEST_KUBE_JOIN, read_kube },
	{ "kube.follow", REQUEST_KUBE_FOLLOW, read_nothing },
};

int request_from_json(const char *call, const json_t *args, struct request *ret, struct err *err)
{
	CLEANUP_REQUEST struct request request = { 0 };

	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		int r;

		if (strcmp(call, calls[i].call) != 0)
			continue;
		request.kind = calls[i].kind;
		r = field_refuse_missing(calls[i].read(args, &request, err), err);
		if (r < 0)
			return r;
		*ret = request;
		request = (struct request){ 0 };
		return 0;
	}
	return err_set(err, -ENOSYS, "no such request");
}
