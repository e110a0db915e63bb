/*
 * rules: what a document may say (in kubeadm/ only). Each returns 0, or -EINVAL with a sentence
 * naming document and field. @doc may be of any shape: what has the wrong type reads as absent, and
 * kubeadm will say so.
 */
#pragma once

#include "kubeadm/kubeadm.h"

struct rules {
	const struct kubeadm_home *home;
	const json_t *docs;
	json_t *notes; /* borrowed, may be NULL */
};

int rules_init(const struct rules *rules, const json_t *doc, struct err *err);
int rules_join(const struct rules *rules, const json_t *doc, struct err *err);
int rules_upgrade(const struct rules *rules, const json_t *doc, struct err *err);
int rules_cluster(const struct rules *rules, const json_t *doc, struct err *err);
int rules_kubelet(const struct rules *rules, const json_t *doc, struct err *err);
int rules_proxy(const struct rules *rules, const json_t *doc, struct err *err);

/*
 * The arguments @list of @component ("kubelet", "apiServer", ..., as in owned.c): each has a name
 * without dashes and a value, none is one that is said elsewhere, and this kubeadm leaves them in
 * their order.
 */
int rules_arguments(const struct rules *rules, const json_t *list, const char *component,
	const char *where, struct err *err);

/* Adds a sentence to the notes. */
void rules_note(const struct rules *rules, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- small parts; an absent field reads as "" or NULL --- */

const json_t *rule_document(const json_t *docs, const char *kind);
const char *rule_text(const json_t *obj, const char *key);
/* The value of the last argument of this name, NULL if there is none. */
const char *rule_argument(const json_t *list, const char *name);
bool rule_one_of(const char *text, const char *const list[]);
bool rule_hex(const char *text, size_t len);
/* A Go duration in microseconds, -1 if it is none. */
int64_t rule_duration(const char *text);
/* A Kubernetes quantity ("200Mi", "250m", "512e6"), -1 if it is none or negative. */
double rule_quantity(const char *text);
/* Splits "HOST:PORT", "[fd00::1]:6443" or "HOST" (then @ret_port 0); the host without brackets. */
bool rule_host_port(const char *text, char ret_host[static 256], unsigned *ret_port);
/* Whether @text is "V4,V6", these two prefixes however they are written. */
bool rule_is_pair(const char *text, const struct ip_prefix *v4, const struct ip_prefix *v6);
/* The port on which the API server of @owner (with localAPIEndpoint) listens. */
unsigned rule_bind_port(const json_t *owner);
