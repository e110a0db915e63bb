/* serving: see serving.h. */
#include "kube/serving.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/json.h"
#include "sys/x509/request.h"

#define SIGNER    "kubernetes.io/kubelet-serving"
#define USER_HEAD "system:node:"
#define GROUP     "system:nodes"

enum { REQUEST_MAX = 16 << 10 };

static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

static bool lists(const json_t *array, const char *text)
{
	size_t i;
	json_t *item;

	json_array_foreach(array, i, item) if (json_is_string(item) &&
					       !strcmp(json_string_value(item), text)) return true;
	return false;
}

static bool is_decided(const json_t *csr)
{
	size_t i;
	json_t *condition;

	json_array_foreach(
		json_object_get(json_object_get(csr, "status"), "conditions"), i, condition)
	{
		const char *type = text_of(condition, "type");

		if (!strcmp(type, "Approved") || !strcmp(type, "Denied"))
			return true;
	}
	return false;
}

/*
 * The usages are "digital signature" and "server auth", with or without "key encipherment", and no
 * others.
 */
static bool usages_fit(const json_t *usages)
{
	size_t n = json_array_size(usages);

	return lists(usages, "digital signature") && lists(usages, "server auth") &&
	       n == (lists(usages, "key encipherment") ? 3 : 2);
}

static const struct serving_board *find(const struct serving_mesh *mesh, const char *name)
{
	for (size_t i = 0; i < mesh->n_boards; i++)
		if (!strcmp(mesh->boards[i].name, name))
			return &mesh->boards[i];
	return NULL;
}

static int check_dns(
	const char *name, const struct serving_board *board, const char *mesh, struct err *why)
{
	size_t len = strlen(board->name);
	char rest[X509_NAME_MAX];

	(void) snprintf(rest, sizeof(rest), ".%s.internal", mesh);
	if (!strncmp(name, board->name, len) && (!name[len] || !strcmp(name + len, rest)))
		return 0;
	return err_set(
		why, -EACCES, "it asks for the name %.253s, which is not %s's", name, board->name);
}

static int check_names(const struct x509_request *request, const struct serving_board *board,
	const char *mesh, struct err *why)
{
	char text[IP_TEXT_MAX], own4[IP_TEXT_MAX], own6[IP_TEXT_MAX];
	int r = 0;

	if (!request->n_dns && !request->n_ips)
		return err_set(why, -EACCES, "it asks for no name and no address at all");
	for (size_t i = 0; i < request->n_dns && r == 0; i++)
		r = check_dns(request->dns[i], board, mesh, why);
	for (size_t i = 0; i < request->n_ips && r == 0; i++)
		if (!ip_addr_equal(&request->ips[i], &board->mesh4) &&
			!ip_addr_equal(&request->ips[i], &board->mesh6))
			r = err_set(why, -EACCES,
				"it asks for the address %s; the mesh gave %s %s and %s "
				"(does its kubelet run with the --node-ip of /etc/hearth/kubeadm?)",
				ip_addr_format(&request->ips[i], text), board->name,
				ip_addr_format(&board->mesh4, own4),
				ip_addr_format(&board->mesh6, own6));
	return r;
}

/* The request itself says the same as what the API server says of its asker. */
static int check_request(
	const json_t *spec, const struct serving_board *board, const char *mesh, struct err *why)
{
	CLEANUP(free_p) uint8_t *pem = NULL;
	struct x509_request request;
	const char *text = text_of(spec, "request");
	size_t len;

	if (base64_decode(text, strlen(text), REQUEST_MAX, &pem, &len) < 0)
		return err_set(why, -EBADMSG, "spec.request is not base64 of at most %d bytes",
			REQUEST_MAX);
	int r = x509_request_read((const char *) pem, len, &request, why);

	if (r < 0)
		return r;
	if (strcmp(request.common_name, text_of(spec, "username")) != 0)
		return err_set(why, -EACCES, "its common name is %s, but " USER_HEAD "%s asks",
			request.common_name, board->name);
	if (strcmp(request.organization, GROUP) != 0)
		return err_set(
			why, -EACCES, "its organization is %s, not " GROUP, request.organization);
	return check_names(&request, board, mesh, why);
}

enum serving_verdict serving_judge(const json_t *csr, const struct serving_mesh *mesh,
	const struct serving_board **ret_board, struct err *why)
{
	const json_t *spec = json_object_get(csr, "spec");
	const char *user = text_of(spec, "username");

	if (strcmp(text_of(spec, "signerName"), SIGNER) != 0)
		return SERVING_OTHER;
	if (is_decided(csr))
		return SERVING_DECIDED;
	if (strncmp(user, USER_HEAD, sizeof(USER_HEAD) - 1) != 0 ||
		!lists(json_object_get(spec, "groups"), GROUP)) {
		err_set(why, -EACCES, "it is not a node that asks");
		return SERVING_BAD;
	}
	const struct serving_board *board = find(mesh, user + sizeof(USER_HEAD) - 1);

	if (!board) {
		err_set(why, -EACCES, "a node asks whose name no board of mesh %s has", mesh->name);
		return SERVING_BAD;
	}
	/*
	 * Kubernetes knows a node by the name that it joined with, and that stays with the board
	 * when the mesh renames it.
	 */
	if (board->once) {
		err_set(why, -EACCES,
			"%s was the name of %s before, so that this may be either of them asking. "
			"If you know that it is the right one: kubectl certificate approve",
			board->name, board->once);
		return SERVING_BAD;
	}
	if (!usages_fit(json_object_get(spec, "usages"))) {
		err_set(why, -EACCES, "its usages are not those of a server's certificate");
		return SERVING_BAD;
	}
	if (check_request(spec, board, mesh->name, why) < 0)
		return SERVING_BAD;
	*ret_board = board;
	return SERVING_GOOD;
}

json_t *serving_approved(const json_t *csr, const struct serving_board *board)
{
	CLEANUP_JSON json_t *copy = json_deep_copy(csr);
	json_t *status = json_object_get(copy, "status"), *conditions;
	char message[200];

	(void) snprintf(message, sizeof(message),
		"it asks for nothing but the names and addresses that the mesh gave %s",
		board->name);
	if (!json_is_object(status)) {
		status = json_object();
		if (json_object_set_new(copy, "status", status) < 0)
			return NULL;
	}
	conditions = json_object_get(status, "conditions");
	if (!json_is_array(conditions)) {
		conditions = json_array();
		if (json_object_set_new(status, "conditions", conditions) < 0)
			return NULL;
	}
	if (json_array_append_new(
		    conditions, json_pack("{s:s,s:s,s:s,s:s}", "type", "Approved", "status", "True",
					"reason", "HearthMesh", "message", message)) < 0)
		return NULL;
	return TAKE(copy);
}
