/*
 * local: what this board keeps. Files in the state directory belong to hearthd's user, and are made
 * under its identity: root follows nothing that the user may have put there.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/names.h"
#include "base/owned.h"
#include "board/state.h"
#include "provision/enroll.h"
#include "sys/exec/exec.h"

void enroll_done(struct enroll *e)
{
	talk_done(&e->talk);
	token_done(&e->token);
	wayout_done(&e->wayout);
	node_done(&e->node);
	node_relay_done(&e->offered);
	settings_done(&e->settings);
	kube_bundle_done(&e->bundle);
	trust_free(e->trust);
	json_decref(e->before);
	sodium_memzero(e->identity_seed, sizeof(e->identity_seed));
	sodium_memzero(e->wg_private, sizeof(e->wg_private));
}

/* The package's sysusers.d makes the user; a tree that was copied by hand may not have run it. */
static void make_user(void)
{
	const char *const argv[] = { "systemd-sysusers", NULL };
	struct exec_options options = {
		.argv = argv, .output_max = 4096, .timeout_us = 20 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	(void) exec_run(&options, &result, NULL); /* whether it helped is asked next */
}

int local_find_user(struct enroll *e, struct err *err)
{
	const char *name = e->user;
	struct passwd *pw = getpwnam(name);

	if (!pw && !e->dry_run) {
		make_user();
		pw = getpwnam(name);
	}
	if (!pw && e->dry_run) {
		e->uid = e->gid = 0;
		return 0;
	}
	if (!pw)
		return err_set(err, -ENOENT,
			"there is no user %s, which hearthd runs as. Make it with `useradd "
			"--system --home-dir /var/lib/hearth --shell /usr/sbin/nologin %s`",
			name, name);
	e->uid = pw->pw_uid;
	e->gid = pw->pw_gid;
	return 0;
}

int local_as_user(struct enroll *e, bool user, struct err *err)
{
	if (!e->uid)
		return 0;
	/*
	 * Root's own groups are of no use to anybody here: a file of theirs would be read as the
	 * user's.
	 */
	if (user && setgroups(1, &e->gid) < 0)
		return err_set(err, -errno, "leave root's groups: %s", strerror(errno));
	if (user ? setegid(e->gid) < 0 || seteuid(e->uid) < 0 : seteuid(0) < 0 || setegid(0) < 0)
		return err_set(err, -errno, "change to user %u and back: %s", (unsigned) e->uid,
			strerror(errno));
	return 0;
}

void local_public_keys(struct enroll *e)
{
	(void) crypto_scalarmult_base(e->wg, e->wg_private);
	record_public_key(e->identity_seed, e->identity);
}

/* 1: read, 0: not there. */
static int read_key(
	struct enroll *e, const char *name, uint8_t ret[static FIELD_KEY_LEN], struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct err why = { 0 };
	int r = local_as_user(e, !e->dry_run, err);

	if (r)
		return r;
	r = state_read_key(paths_join(e->paths.state, name, path), ret, &why);
	int back = local_as_user(e, false, err);

	if (r == -ENOENT || back)
		return back;
	return r < 0 ? err_set(err, r, "%s", why.text) : 1;
}

int local_follow(struct enroll *e, const struct netmap *netmap, uint32_t id, struct err *err)
{
	const struct node *self = netmap_by_id(netmap, id);
	const struct settings *settings = netmap_settings(netmap);

	if (!self || !settings)
		return err_set(err, -ENOENT, "this board is not in the mesh's log");
	node_done(&e->node);
	settings_done(&e->settings);
	e->node = (struct node){ 0 };
	e->settings = (struct settings){ 0 };
	if (node_copy(self, &e->node) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	settings_copy(settings, &e->settings);
	e->first_control_plane = netmap_first_control_plane(netmap) == self;
	return 0;
}

/*
 * Whether the keys here are still those of the node; a removed or replaced board must enrol anew.
 */
static int check_membership(struct enroll *e, const struct netmap *netmap, struct err *err)
{
	uint32_t id = 0;

	switch (netmap_identity(netmap, e->identity, &id)) {
	case NETMAP_IDENTITY_CURRENT:
		return id == e->config.node ? local_follow(e, netmap, id, err) : -ESTALE;
	case NETMAP_IDENTITY_REVOKED:
	case NETMAP_IDENTITY_REMOVED:
		return -ESTALE;
	case NETMAP_IDENTITY_UNKNOWN:
		break;
	}
	return err_set(err, -EUCLEAN,
		"%s says that this board is node %u of mesh %s, "
		"but the log in %s does not know its key. "
		"If the log was lost, start hearthd and run this again; else put %s and %s away "
		"and enrol the board anew with a token made by `hearth token create --replace`",
		"hearthd.yaml", e->config.node, e->config.mesh, e->paths.state, e->paths.etc,
		e->paths.state);
}

static int load_enrolled(struct enroll *e, struct err *err)
{
	int r = trust_open(&e->paths, e->config.root, !e->dry_run, &e->trust, err);

	if (r == -ESTALE)
		return err->code = -EUCLEAN; /* not what check_membership() means by it */
	return r ? r : check_membership(e, trust_netmap(e->trust), err);
}

int local_load(struct enroll *e, struct err *err)
{
	char path[PATH_TEXT_MAX];
	struct err why = { 0 };
	int r = local_find_user(e, err);

	if (r)
		return r;
	int identity = read_key(e, "identity.key", e->identity_seed, err);
	int wg = identity < 0 ? identity : read_key(e, "wireguard.key", e->wg_private, err);

	if (wg < 0)
		return wg;
	local_public_keys(e);
	e->new_keys = !identity || !wg;
	r = config_read(paths_join(e->paths.etc, "hearthd.yaml", path), &e->config, &why);
	if (r == -ENOENT) {
		(void) snprintf(
			e->config.interface, sizeof(e->config.interface), "%s", NAMES_LINK_DEFAULT);
		e->config.port = CONFIG_PORT_DEFAULT;
		return 0;
	}
	if (r)
		return err_set(err, r, "%s", why.text);
	if (e->new_keys)
		return err_set(err, -ENOKEY,
			"%s says that this board is in mesh %s, but its keys in %s are gone. "
			"Remove %s and "
			"enrol the board anew with a token made by `hearth token create --replace`",
			path, e->config.mesh, e->paths.state, path);
	r = load_enrolled(e, err);
	e->removed = r == -ESTALE;
	e->enrolled = r == 0;
	return e->removed ? 0 : r;
}

static int make_key(struct enroll *e, const char *name, const uint8_t key[static FIELD_KEY_LEN],
	struct err *err)
{
	char path[PATH_TEXT_MAX], text[KEY_BASE64_LEN + 1];

	key_to_base64(key, text);
	(void) strcat(text, "\n");
	int r = local_as_user(e, true, err);

	if (r)
		return r;
	r = file_write_atomic(paths_join(e->paths.state, name, path), text, strlen(text), 0600);
	sodium_memzero(text, sizeof(text));
	int back = local_as_user(e, false, err);

	if (r < 0)
		return err_set(err, r, "write %s: %s", path, strerror(-r));
	return back;
}

static int make_state_dir(struct enroll *e, struct err *err)
{
	int r = owned_make_dir(e->paths.state, 0700, e->uid, e->gid);

	if (r == -EPERM)
		return err_set(err, r,
			"%s does not belong to user %s (%u), whom hearthd runs as. "
			"If it is Hearth's: `chown -R %u:%u %s`",
			e->paths.state, e->user, (unsigned) e->uid, (unsigned) e->uid,
			(unsigned) e->gid, e->paths.state);
	return r < 0 ? err_set(err, r, "make %s: %s", e->paths.state, strerror(-r)) : 0;
}

int local_keys(struct enroll *e, struct err *err)
{
	if (!e->new_keys) {
		talk_step(&e->talk, TALK_KEPT, "keys", "in %s", e->paths.state);
		return 0;
	}
	if (e->dry_run) {
		talk_step(&e->talk, TALK_WOULD, "keys",
			"make an identity and a WireGuard key in %s", e->paths.state);
		return 0;
	}
	uint8_t none[FIELD_KEY_LEN] = { 0 };
	int r = make_state_dir(e, err);

	if (r == 0 && !memcmp(e->identity_seed, none, sizeof(none))) {
		randombytes_buf(e->identity_seed, sizeof(e->identity_seed));
		r = make_key(e, "identity.key", e->identity_seed, err);
	}
	if (r == 0 && !memcmp(e->wg_private, none, sizeof(none))) {
		randombytes_buf(e->wg_private, sizeof(e->wg_private));
		e->wg_private[0] &= 248;
		e->wg_private[31] = (uint8_t) ((e->wg_private[31] & 127) | 64);
		r = make_key(e, "wireguard.key", e->wg_private, err);
	}
	if (r)
		return r;
	local_public_keys(e);
	e->new_keys = false;
	talk_step(&e->talk, TALK_DONE, "keys",
		"made an identity and a WireGuard key in %s; they never leave this board",
		e->paths.state);
	return 0;
}

static int rename_away(const char *dir, const char *name, struct err *err)
{
	char path[PATH_TEXT_MAX], away[PATH_TEXT_MAX + 16];

	paths_join(dir, name, path);
	(void) snprintf(away, sizeof(away), "%s.removed", path);
	if (rename(path, away) < 0 && errno != ENOENT)
		return err_set(err, -errno, "rename %s: %s", path, strerror(errno));
	return 0;
}

int local_put_away(struct enroll *e, struct err *err)
{
	static const char *const state[] = { "identity.key", "wireguard.key", "log", "presence",
		"state.json" };
	int r = rename_away(e->paths.etc, "hearthd.yaml", err);

	if (r == 0)
		r = local_as_user(e, true, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(state); i++)
		r = rename_away(e->paths.state, state[i], err);
	int back = local_as_user(e, false, err);

	if (r || back)
		return r ? r : back;
	sodium_memzero(e->identity_seed, sizeof(e->identity_seed));
	sodium_memzero(e->wg_private, sizeof(e->wg_private));
	e->new_keys = true;
	e->enrolled = false;
	talk_step(&e->talk, TALK_DONE, "removed",
		"this board was removed from mesh %s; "
		"its old keys are kept as *.removed and new ones are made",
		e->config.mesh);
	return 0;
}
