/*
 * node-label: what a person may label a board with. Labels go to kubelet, which gives them to its
 * Node when it registers: so they are Kubernetes labels, and none that a kubelet is forbidden to
 * give itself. What a record may hold (node.h) is wider: a board that has such a label keeps it
 * until it is taken away.
 */
#pragma once

#include "base/err.h"
#include "base/json.h"

/*
 * 0, or -EINVAL with @err: a clause without a full stop that names the label, says why it cannot
 * be, and what would do, if anything would. Pure.
 */
int node_label_check(const char *key, const char *value, struct err *err);

/* The same for all of an object of strings (NULL: none); what is no string is refused. */
int node_labels_check(const json_t *labels, struct err *err);
