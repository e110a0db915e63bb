/*
 * settings: what people write into kubeadm.d: right, wrong and dangerous. One table, tried on the merged
 * documents by test-kubeadm-settings, and with real programs of several versions by the interop test.
 */
#pragma once

#include <stddef.h>

enum setting_outcome {
	SETTING_TAKEN,   /* what is in .effective counts; .says, if any, is in a note */
	SETTING_REFUSED, /* by us, with .says in the message */
	SETTING_KUBEADM, /* taken by us, refused by `kubeadm config validate` */
	SETTING_KUBELET, /* taken by us and kubeadm, refused by `kubelet --version` */
	SETTING_ORDERED /* taken; refused by us, with .says, for a kubeadm that would change the order */
};

enum { SETTING_EFFECTS = 6 };

struct setting_effect {
	/*
	 * "apiServer", "controllerManager", "scheduler", "etcd", "kubelet": the argument @name has @value,
	 * once, or the values that spaces part, in this order; NULL: it is not there. Else a document's kind, or "(patch)": the field @name ("a.b.0.c") is
	 * @value, as JSON or as a plain text; NULL: it is not there.
	 */
	const char *where, *name, *value;
};

struct setting {
	const char *name; /* a word, unique */
	size_t board;     /* of boards.h */
	const char *yaml;
	enum setting_outcome outcome;
	const char *says;
	struct setting_effect effective[SETTING_EFFECTS];
};

extern const struct setting settings[];
extern const size_t n_settings;
