/*
 * judge: the kubeadm and kubelet of this board on what is about to be written (in provision/ only).
 * They know their own fields and flags; a copy of these here would know those of one version.
 */
#pragma once

#include "provision/enroll.h"

struct judge {
	bool found; /* there is a kubeadm */
	bool asked; /* and what is written is for it */
	struct kubeadm_version version;
};

/* What upgrade.yaml says in its head, with the version behind it. */
#define JUDGE_MADE_FOR "# For kubeadm "

/*
 * Which kubeadm the files are for: --kubeadm-version, the one in PATH, else
 * KUBEADM_VERSION_DEFAULT; or, if nobody is there who could say so again, the one that they were
 * for.
 */
int judge_find(struct enroll *enroll, struct judge *ret, struct err *err);

/*
 * `kubeadm config validate` on @docs, which go to become the file @name. -EINVAL with kubeadm's
 * words if it refuses them; what it warns of is told. 0 without a word if there is nobody to ask.
 */
int judge_documents(struct enroll *enroll, const struct judge *judge, const json_t *docs,
	const char *name, struct err *err);

/* The board's kubelet on its flags in @docs (kubeletExtraArgs), likewise. */
int judge_kubelet_flags(
	struct enroll *enroll, const struct judge *judge, const json_t *docs, struct err *err);
