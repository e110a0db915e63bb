/* version: which kubeadm the files are for. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "kubeadm/kubeadm.h"

static const char *number(const char *p, unsigned *ret)
{
	unsigned n = 0;
	int digits = 0;

	for (; isdigit((unsigned char) *p); p++, digits++)
		n = n * 10 + (unsigned) (*p - '0');
	if (!digits || digits > 4)
		return NULL;
	*ret = n;
	return p;
}

/*
 * Behind a part that begins with @sign, or @p itself if there is none; NULL if it is empty or not
 * one.
 */
static const char *part(const char *p, char sign)
{
	if (*p != sign)
		return p;
	size_t n =
		strspn(p + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.");

	return n ? p + 1 + n : NULL;
}

int kubeadm_version_parse(const char *text, struct kubeadm_version *ret, struct err *err)
{
	struct kubeadm_version v = { 0 };
	const char *p = text + (*text == 'v');

	p = number(p, &v.major);
	p = p && *p == '.' ? number(p + 1, &v.minor) : NULL;
	if (p && *p == '.')
		p = number(p + 1, &v.patch);
	/* "-rc.1", "-rc.0.12+abc", "+k3s1" */
	const char *rest = p ? part(p, '-') : NULL;

	rest = rest ? part(rest, '+') : NULL;
	if (!rest || *rest || strlen(p) > 40)
		return err_set(err, -EINVAL,
			"\"%.40s\" is no version of Kubernetes; one looks like v1.37.2", text);
	(void) snprintf(v.text, sizeof(v.text), "v%u.%u.%u%s", v.major, v.minor, v.patch, p);
	*ret = v;
	return 0;
}

bool kubeadm_version_sorts(const struct kubeadm_version *version)
{
	/* The first patch of each minor version that does not; 1.31 never came to one. */
	static const struct {
		unsigned minor, patch;
	} first[] = { { 32, 12 }, { 33, 8 }, { 34, 4 }, { 35, 1 } };

	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		if (version->minor == first[i].minor)
			return version->patch < first[i].patch;
	return version->minor < first[0].minor;
}

int kubeadm_version_check(const struct kubeadm_version *version, struct err *err)
{
	if (version->major == 1 && version->minor >= KUBEADM_MINOR_OLDEST)
		return 0;
	return err_set(err, -ENOTSUP,
		"kubeadm %s is too old: the files are written in its configuration API v1beta4, "
		"which kubeadm reads from v1.%d on. "
		"Install a newer kubeadm, or name the one you will use with --kubeadm-version",
		version->text, KUBEADM_MINOR_OLDEST);
}
