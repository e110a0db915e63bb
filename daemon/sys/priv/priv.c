/*
 * After priv_become() the real, effective and saved ids are the user's, the supplementary groups
 * its own, and every capability set is exactly what was asked for.
 */
#include "sys/priv/priv.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int priv_find_user(const char *name, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
	struct passwd entry, *found = NULL;
	char text[4096];
	int r = getpwnam_r(name, &entry, text, sizeof(text), &found);

	if (!found)
		return err_set(err, r ? -r : -ENOENT,
			"there is no user \"%s\" on this machine; make it with `systemd-sysusers` "
			"or "
			"`useradd --system %s`",
			name, name);
	*ret_uid = entry.pw_uid;
	*ret_gid = entry.pw_gid;
	return 0;
}

static int get_caps(struct __user_cap_data_struct data[static 2])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };

	return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

bool priv_has(int cap)
{
	struct __user_cap_data_struct data[2] = { 0 };

	return get_caps(data) == 0 && data[cap / 32].effective & UINT32_C(1) << cap % 32;
}

static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++)
		data[i].effective = data[i].permitted = data[i].inheritable =
			(uint32_t) (caps >> 32 * i);
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int set_bounds(uint64_t caps)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(caps & UINT64_C(1) << cap) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -errno;
	return 0;
}

static int set_ambient(uint64_t caps)
{
	for (unsigned cap = 0; cap < 64; cap++)
		if (caps & UINT64_C(1) << cap &&
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
			return -errno;
	return 0;
}

int priv_become(const char *name, uint64_t caps, struct err *err)
{
	uid_t uid;
	gid_t gid;
	int r = priv_find_user(name, &uid, &gid, err);

	if (r < 0)
		return r;
	r = set_bounds(caps);
	if (r < 0)
		return err_set(err, r, "drop capabilities: %s", strerror(-r));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0 || setresgid(gid, gid, gid) < 0 ||
		initgroups(name, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return err_set(err, -errno, "become user %s: %m", name);
	r = set_caps(caps);
	if (r == 0)
		r = set_ambient(caps);
	if (r < 0)
		return err_set(err, r, "keep the capabilities: %s", strerror(-r));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_set(err, -errno, "set no_new_privs: %m");
	return 0;
}
