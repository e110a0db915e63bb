/*
 * rules: what a document may say, beyond its shape (in kubeadm/ only). Each returns 0, or -EINVAL with
 * a sentence naming document and field. @doc has passed the check of shape: a field is absent or of
 * the right type.
 */
#pragma once

#include "kubeadm/kubeadm.h"

int rules_registration(const json_t *doc, const char *kind, struct err *err);
int rules_endpoint(const json_t *owner, const char *where, struct err *err);
int rules_join(const json_t *doc, struct err *err);
int rules_cluster(const json_t *doc, const struct kubeadm_version *version, struct err *err);
int rules_kubelet(const json_t *doc, uint64_t memory_bytes, struct err *err);
int rules_proxy(const json_t *doc, const json_t *cluster, struct err *err);

/* Small parts shared by the rules. An absent field reads as "" or NULL. */
const char *rule_text(const json_t *obj, const char *key);
bool rule_one_of(const char *text, const char *const list[]);
bool rule_hex(const char *text, size_t len);
/* "a.b-c": lower-case labels with dots between; a leading "*." if @wildcard. */
bool rule_dns_name(const char *text, bool wildcard);
/* A Go duration in microseconds, -1 if it is none. */
int64_t rule_duration(const char *text);
/* A Kubernetes quantity of memory in bytes ("200Mi"), -1 if it is none. */
int64_t rule_memory(const char *text);
/* "name:port", "10.0.0.1:6443", "[fd00::1]:6443". */
bool rule_host_port(const char *text);
/*
 * "V4" or "V4,V6": both prefixes, IPv4 first. The second has family 0 if absent. False for anything
 * else.
 */
bool rule_prefix_pair(const char *text, struct ip_prefix *ret4, struct ip_prefix *ret6);
