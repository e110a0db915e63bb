/*
 * cluster: the subject of what this board needs to join the cluster. A bundle comes from the
 * coordinator; one that a control plane signed is kept on the disk, and hearth-helper asked to make
 * kubeadm's files of it. Which one was tried last, and why that came to nothing, is for the others
 * to know: each board tells in its presence, for whoever publishes one sits at a control plane.
 *
 * Its problems: "kube", the files are not written; "bundle", the disk does not take it; "token", it
 * is too late to join with it; "node", Kubernetes knows this board by another name; "boards", on a
 * control plane: others could not.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "node/core.h"
#include "wire/kube.h"

struct cluster;

struct cluster_hooks {
	/* What others should be told (cluster_tried(), cluster_problem()) is something else now. */
	void (*told)(void *ctx);
	/*
	 * The bundle @id is carried out, "": none is. To be kept over a restart, for
	 * cluster_load().
	 */
	void (*done)(void *ctx, const char *id);
	/* Whether node @id answers. */
	bool (*is_reachable)(const void *ctx, uint32_t id);
};

/* @core and @hooks are borrowed. NULL: out of memory. */
struct cluster *cluster_new(struct core *core, const struct cluster_hooks *hooks, void *ctx);
/* No write may be under way. */
struct cluster *cluster_free(struct cluster *cluster);
/* What came before the last restart; @done: the bundle that was carried out. */
void cluster_load(struct cluster *cluster, const char *done);

/* --- what came --- */

/* 0, or -EAGAIN: the coordinator is asked again after a pause. */
int cluster_take(struct cluster *cluster, const struct kube_bundle *bundle);
/* The bundle that the coordinator need not send, "": none. Borrowed, as what follows. */
const char *cluster_position(const struct cluster *cluster);
/* For our presence. */
const char *cluster_tried(const struct cluster *cluster);
const char *cluster_problem(const struct cluster *cluster);

/* --- what becomes of it --- */

/* Has the files made: with a new bundle, or again where they may be old. */
void cluster_join(struct cluster *cluster);
/* Has them made again if what the log has for them changed: this board's name, labels ... */
void cluster_follow_record(struct cluster *cluster, const struct node *self);
/* Whether kubeadm join would find the token over; whether this board's Node is gone. */
void cluster_look(struct cluster *cluster);
/*
 * Our log is on the disk, all of it (@saved), or it cannot be: what waited for that is asked for.
 */
void cluster_log_settled(struct cluster *cluster, bool saved);
/* Again what failed, when its pause is over. */
void cluster_retry(struct cluster *cluster);
/* Without that pause. */
void cluster_hurry(struct cluster *cluster);

/* --- what the others say --- */

/* @self (NULL: not in the netmap) is told who could not. */
void cluster_look_at_boards(struct cluster *cluster, const struct node *self);
/* Whether every board that runs pods and answers has tried @bundle. */
bool cluster_boards_have_tried(const struct cluster *cluster, const char *bundle);
/*
 * {"boards":[{"name", "state":"written|failed|trying|unreachable", "problem":TEXT|null}]}, or NULL
 * when out of memory.
 */
json_t *cluster_boards_json(const struct cluster *cluster, const char *bundle);
