/*
 * joined: by which name Kubernetes knows this board. It is found as kubeadm finds it: in the
 * certificate that kubelet's configuration shows the API server.
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/json.h"
#include "base/yaml.h"
#include "provision/enroll.h"
#include "sys/x509/x509.h"

#define USER_HEAD "system:node:"
enum { CERTIFICATE_MAX = 65536 };

static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

/* A path in a kubeconfig is relative to its directory. */
static int read_file(const char *conf, const char *path, struct buf *ret)
{
	char dir[PATH_TEXT_MAX], whole[PATH_TEXT_MAX];

	if (path[0] == '/')
		return file_read(path, CERTIFICATE_MAX, ret);
	(void) snprintf(dir, sizeof(dir), "%s", conf);
	return file_read(paths_join(dirname(dir), path, whole), CERTIFICATE_MAX, ret);
}

static int read_certificate(const char *conf, const json_t *user, struct buf *ret)
{
	const char *data = text_of(user, "client-certificate-data");
	const char *path = text_of(user, "client-certificate");
	CLEANUP(free_p) uint8_t *pem = NULL;
	size_t len = 0;

	if (!*data)
		return *path ? read_file(conf, path, ret) : -ENOENT;
	int r = base64_decode(data, strlen(data), CERTIFICATE_MAX, &pem, &len);

	if (r == 0)
		buf_add(ret, pem, len);
	return r ? r : buf_failed(ret) ? -ENOMEM : 0;
}

static bool name_of_user(const char *conf, const json_t *user, char ret[static JOINED_NAME_MAX])
{
	static const size_t head = sizeof(USER_HEAD) - 1;
	CLEANUP_BUF struct buf pem = { 0 };
	char name[X509_NAME_TEXT_MAX] = "";
	bool found = read_certificate(conf, user, &pem) == 0 &&
		     x509_name_of_pem(pem.data, pem.len, name) == 0 &&
		     !strncmp(name, USER_HEAD, head) && name[head] &&
		     strlen(name + head) < JOINED_NAME_MAX;

	if (pem.data)
		explicit_bzero(pem.data, pem.len); /* kubelet keeps its key in the same file */
	if (found)
		memcpy(ret, name + head, strlen(name + head) + 1);
	return found;
}

bool joined_name(const struct enroll *e, char ret[static JOINED_NAME_MAX])
{
	char conf[PATH_TEXT_MAX];
	CLEANUP_JSON json_t *json =
		yaml_read_file(paths_join(e->host, "kubernetes/kubelet.conf", conf), NULL);
	size_t i;
	json_t *user;

	json_array_foreach(json_object_get(json, "users"), i, user)
	{
		if (name_of_user(conf, json_object_get(user, "user"), ret))
			return true;
	}
	return false;
}

bool joined_as_another(const struct enroll *e, char ret[static JOINED_NAME_MAX])
{
	return joined_name(e, ret) && strcmp(ret, e->node.name) != 0;
}
