/*
 * pods: what a board needs that runs pods, beside forwarding and kubeadm's own files: the
 * configuration of our CNI plugin, and a kubelet that starts after the mesh's addresses exist.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "provision/enroll.h"

/* --- CNI --- */

static json_t *addr_text(const struct ip_addr *addr)
{
	char s[IP_TEXT_MAX];

	return json_string(ip_addr_format(addr, s));
}

static json_t *prefix_text(const struct ip_prefix *prefix)
{
	char s[PREFIX_TEXT_MAX];

	return json_string(ip_prefix_format(prefix, s));
}

/* containerd 1.6 refuses a plain 1.1.0, and takes the list's first word for it. */
json_t *pods_conflist(const struct node *node, const char *device)
{
	return json_pack("{s:s, s:[s, s, s], s:s, s:[{s:s, s:s, s:[o, o], s:[o, o]}]}",
		"cniVersion", "1.0.0", "cniVersions", "0.4.0", "1.0.0", "1.1.0", "name", "hearth",
		"plugins", "type", "hearth", "device", device, "nodeAddresses",
		addr_text(&node->mesh4), addr_text(&node->mesh6), "subnets",
		prefix_text(&node->pods4), prefix_text(&node->pods6));
}

/*
 * What is there already, if it is a list with our plugin in it. Others may be chained behind that.
 */
static json_t *read_list(const char *path)
{
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_JSON json_t *list = NULL;
	const json_t *plugin;
	size_t i;

	if (file_read(path, 65536, &text) < 0)
		return NULL;
	list = json_parse(text.data ? text.data : "", text.len, NULL);
	json_array_foreach(json_object_get(list, "plugins"), i, plugin)
	{
		const char *type = json_string_value(json_object_get(plugin, "type"));

		if (type && !strcmp(type, "hearth"))
			return TAKE(list);
	}
	return NULL;
}

/* @ours, in what @now has beside: plugins chained by the user, and more words for ours. */
static json_t *merge_list(const json_t *now, const json_t *ours)
{
	CLEANUP_JSON json_t *list = json_deep_copy(now), *plugins = NULL;
	json_t *own = json_array_get(json_object_get(ours, "plugins"), 0), *plugin;
	size_t i;

	if (!list)
		return NULL;
	plugins = json_incref(json_object_get(list, "plugins"));
	json_array_foreach(plugins, i, plugin)
	{
		const char *type = json_string_value(json_object_get(plugin, "type"));

		if (type && !strcmp(type, "hearth") && json_object_update(plugin, own) < 0)
			return NULL;
	}
	if (json_object_update(list, (json_t *) ours) < 0 ||
		json_object_set(list, "plugins", plugins) < 0)
		return NULL;
	return TAKE(list);
}

int pods_cni(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX], p4[PREFIX_TEXT_MAX], p6[PREFIX_TEXT_MAX], dir[PATH_TEXT_MAX];

	paths_join(e->host, "cni/net.d/05-hearth.conflist", path);
	CLEANUP_JSON json_t *ours = pods_conflist(&e->node, e->config.interface);
	CLEANUP_JSON json_t *now = read_list(path);
	CLEANUP_JSON json_t *list = now ? merge_list(now, ours) : json_incref(ours);
	CLEANUP(free_p) char *text = list ? json_dumps(list, JSON_INDENT(2)) : NULL;
	CLEANUP_BUF struct buf out = { 0 };

	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	buf_add_str(&out, text);
	buf_add_str(&out, "\n");
	bool same = now && json_equal(now, list);

	if (e->dry_run) {
		talk_step(&e->talk, same ? TALK_KEPT : TALK_WOULD, "cni", "%s%s",
			same ? "" : "write ", path);
		return 0;
	}
	int r = before_mkdirs(e, paths_join(e->host, "cni/net.d", dir), err);

	if (r)
		return r;
	r = same ? 0 : file_write_if_changed(path, out.data, out.len, 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	talk_step(&e->talk, r ? TALK_DONE : TALK_KEPT, "cni", "%s: pods here get %s and %s", path,
		ip_prefix_format(&e->node.pods4, p4), ip_prefix_format(&e->node.pods6, p6));
	return 0;
}

/* --- kubelet --- */

static const char drop_in[] = "# Written by enroll-node: kubelet's node addresses are the mesh's, "
			      "so it starts after them.\n"
			      "[Unit]\n"
			      "Wants=hearthd.service containerd.service\n"
			      "After=hearthd.service containerd.service\n";

int pods_kubelet_order(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX], dir[PATH_TEXT_MAX];
	CLEANUP_BUF struct buf now = { 0 };

	paths_join(e->host, "systemd/system/kubelet.service.d/10-hearth.conf", path);
	bool same = file_read(path, 65536, &now) == 0 && !strcmp(buf_str(&now), drop_in);

	if (same || e->dry_run) {
		talk_step(&e->talk, same ? TALK_KEPT : TALK_WOULD, "kubelet", "%s%s",
			same ? "" : "write ", path);
		return 0;
	}
	int r = before_mkdirs(e, paths_join(e->host, "systemd/system/kubelet.service.d", dir), err);

	if (r)
		return r;
	r = file_write_atomic(path, drop_in, strlen(drop_in), 0644);
	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	r = service_reload_units(e, err);
	if (r)
		return r;
	talk_step(&e->talk, TALK_DONE, "kubelet", "starts after hearthd and containerd (%s)", path);
	return 0;
}
