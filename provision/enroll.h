/*
 * enroll: what the steps of enroll-node share. Each step looks first whether it is done, does it if
 * not, and says which; so a run after an interrupted one goes on where that ended. The steps of one
 * board's way into the mesh, in order:
 *
 *	look     what the board is; what it needs (root, TUN, nft)
 *	proxy    the one that leads to the coordinator, if any  ETC/proxy
 *	keys     identity and WireGuard key                     STATE/{identity,wireguard}.key
 *	relay    if asked: hearth-relay runs                    ETC/relay.json
 *	enroll   redeem the token; the log proves the answer    STATE/log, STATE/presence
 *	config   ranges do not collide with this LAN; written   ETC/hearthd.yaml (commit point)
 *	network  managers of links leave ours alone             HOST/{systemd/network,...}
 *	service  hearthd runs
 *	peers    those that can be reached answer
 *	pods     forwarding, CNI configuration, kubelet's turn  ETC/before.json (no members)
 *	kubeadm  init.yaml or join.yaml, upgrade.yaml, patches, resolv.conf (not for members)
 */
#pragma once

#include <sys/types.h>

#include "board/trust.h"
#include "kubeadm/kubeadm.h"
#include "mesh/netmap.h"
#include "board/config.h"
#include "board/relayunit.h"
#include "board/wayout.h"
#include "provision/facts.h"
#include "provision/talk.h"
#include "wire/kube.h"
#include "wire/node.h"
#include "wire/settings.h"
#include "wire/token.h"

struct enroll {
	/* asked for; borrowed, NULL: not */
	const char *token_file, *facts_file, *kubeadm_version, *proxy_file;
	char name[NODE_NAME_MAX]; /* canonical; "": not asked */
	bool dry_run, leave, fix, allow_public_ranges;
	bool follows;    /* run by hearth-helper: nobody can say anything else than was said */
	bool has_wait;   /* asked for, not the default */
	unsigned wait_s; /* for peers, at most */
	bool relay;      /* this board is to be one */
	struct relayunit_wish relay_wish;

	struct talk talk;
	struct paths paths;
	char host[256];     /* "/etc", where what is not ours lies: $HEARTH_HOST_ETC */
	char proc_sys[256]; /* "/proc/sys": $HEARTH_PROC_SYS */
	bool systemd;       /* it is process 1 */
	const char *user;   /* that hearthd runs as: $HEARTH_USER or "hearth" */
	uid_t uid;
	gid_t gid;
	struct facts facts;

	/* known once the board is enrolled (or has been) */
	bool enrolled;
	bool removed; /* from the mesh that config names: its keys are of no use any more */
	bool new_keys;
	bool needs_token; /* and got none */
	/* Before it is enrolled: what its record is to say of its relay, and the TCP port. */
	struct node_relay offered;
	bool offers_own;    /* the hosts in it are the board's addresses: nobody has chosen them */
	uint16_t own_relay; /* 0: it is none */
	struct config config;
	struct token token;
	struct wayout wayout; /* by which the coordinator is reached until then */
	uint8_t identity_seed[FIELD_KEY_LEN], wg_private[FIELD_KEY_LEN];
	uint8_t identity[FIELD_KEY_LEN], wg[FIELD_KEY_LEN];
	struct node node;
	struct settings settings;
	bool first_control_plane; /* the one that runs kubeadm init */
	struct trust *trust;      /* owned: the mesh as root believes it; NULL until then */
	bool has_bundle;
	struct kube_bundle bundle;
	struct kube_cluster cluster; /* what the bundle says of it, once it is believed */
	json_t *before;              /* owned; before.c */
};

void enroll_done(struct enroll *enroll);

/* --- look.c --- */

/* Finds the board's facts and what is wrong with it, in this order, with one sentence each. */
int look_board(struct enroll *enroll, struct err *err);
/* The ranges of the mesh against what this board is connected to, and against Tailscale. */
int look_ranges(struct enroll *enroll, struct err *err);

/* --- local.c --- */

/* The user that hearthd runs as; made if there is none. */
int local_find_user(struct enroll *enroll, struct err *err);
/*
 * Reads what is there from an earlier run: keys, configuration, log. Sets enrolled; or removed, if
 * the log proves it.
 */
int local_load(struct enroll *enroll, struct err *err);
/* Makes the keys that are missing, as files of hearthd's user. */
int local_keys(struct enroll *enroll, struct err *err);
/* Sets the public halves. */
void local_public_keys(struct enroll *enroll);
/* Becomes hearthd's user for the files it will own, and root again. */
int local_as_user(struct enroll *enroll, bool user, struct err *err);
/* Puts away the state of a board that was removed from its mesh. */
int local_put_away(struct enroll *enroll, struct err *err);
/* Takes node, settings and role of this board from a netmap. -ENOENT if it is not in it. */
int local_follow(struct enroll *enroll, const struct netmap *netmap, uint32_t id, struct err *err);

/* --- proxied.c --- */

#define PROXIED_FILE "proxy" /* in ETC */

/* Finds the proxy that was named, by --proxy-file or the environment. */
int proxied_find(struct enroll *enroll, struct err *err);
/* Writes ETC/proxy, if there is a password in it, and puts what hearthd needs into @config. */
int proxied_put(struct enroll *enroll, json_t *config, struct err *err);

/* --- join.c --- */

/* Reads the token from --token-file, a prompt without echo, or stdin. */
int join_read_token(struct enroll *enroll, struct err *err);
/* Asks the coordinator what it would make of this board (--dry-run). */
int join_check(struct enroll *enroll, struct err *err);
/* Redeems the token; on success log and presences are on disk and node and settings known. */
int join_mesh(struct enroll *enroll, struct err *err);
/* Writes hearthd.yaml. */
int join_write_config(struct enroll *enroll, struct err *err);

/* --- service.c --- */

int service_start(struct enroll *enroll, struct err *err);
/* Stops hearthd if it runs. */
int service_stop(struct enroll *enroll, struct err *err);
/* Stops and disables hearthd, and takes down what it left in the kernel. */
int service_down(struct enroll *enroll, struct err *err);
int service_wait(struct enroll *enroll, struct err *err);
/* If this board is a relay, that ends. */
int service_relay_down(struct enroll *enroll, struct err *err);
/* After a unit's file or drop-in came or went; nothing without systemd. */
int service_reload_units(struct enroll *enroll, struct err *err);

/* --- leave.c --- */

/* Refuses while kubeadm's work is still there. */
int leave_check(struct enroll *enroll, struct err *err);
int leave_service(struct enroll *enroll, struct err *err);
int leave_files(struct enroll *enroll, struct err *err);

/* --- before.c --- */

/* Reads ETC/before.json, once; what is damaged counts as absent, and is said. */
int before_load(struct enroll *enroll, struct err *err);
int before_save(struct enroll *enroll, struct err *err);

/*
 * A sysctl (its path below /proc/sys), what it @was, and what enrolment @set it to; NULL if it only
 * changes along with another. What is known already stays.
 */
void before_note_sysctl(struct enroll *enroll, const char *name, const char *was, const char *set);
bool before_knows(struct enroll *enroll, const char *name);

struct before_sysctl {
	const char *name, *was, *set; /* borrowed; set may be "" */
	size_t next;
};
/* The next one from @i on, in the order in which they were noted. False at the end. */
bool before_sysctl(struct enroll *enroll, size_t i, struct before_sysctl *ret);

void before_note_link(struct enroll *enroll, const char *name);
bool before_has_link(struct enroll *enroll, const char *name);

/* Whose firewall was given rules for pods: "docker", "ufw". */
void before_note_firewall(struct enroll *enroll, const char *name);
bool before_has_firewall(struct enroll *enroll, const char *name);

/*
 * file_mkdirs() that keeps in mind which directories did not exist; and takes those away if empty.
 */
int before_mkdirs(struct enroll *enroll, const char *path, struct err *err);
void before_remove_dirs(struct enroll *enroll);

/* --- forwarding.c --- */

int forwarding_on(struct enroll *enroll, struct err *err);
/* For --leave: as it was, or who needs it. */
int forwarding_back(struct enroll *enroll, struct err *err);

/* --- firewall.c --- */

/* With --fix: lets pods through another tool's firewall that drops what they send and get. */
int firewall_fix(struct enroll *enroll, struct err *err);
/* For --leave. */
int firewall_back(struct enroll *enroll, struct err *err);

/* --- leftalone.c --- */

/*
 * Files for NetworkManager and systemd-networkd, where the package's do not fit the interface's
 * name.
 */
int leftalone_write(struct enroll *enroll, struct err *err);
/* How many were removed (or would be), or -errno. */
int leftalone_remove(struct enroll *enroll, struct err *err);

/* What would stop pods here all the same, each with its remedy: notes, for nothing failed. */
int look_pods(struct enroll *enroll, struct err *err);

/* --- pods.c --- */

int pods_cni(struct enroll *enroll, struct err *err);
int pods_kubelet_order(struct enroll *enroll, struct err *err);

/* The CNI configuration of @node; a new reference, NULL when out of memory. Pure. */
json_t *pods_conflist(const struct node *node, const char *device);

/* --- joined.c --- */

enum { JOINED_NAME_MAX = 254 };

/* The name of the Node that this board is. False if it is none. */
bool joined_name(const struct enroll *enroll, char ret[static JOINED_NAME_MAX]);
/* Whether that is not the board's name in the mesh: it was renamed after it joined. */
bool joined_as_another(const struct enroll *enroll, char ret[static JOINED_NAME_MAX]);

/* --- kubefiles.c --- */

/*
 * Sets cluster to what the bundle names, if root believes it (mesh/cluster.h): signed by a control
 * plane of the mesh as root knows it, never older than one that root followed. @root: hash of the
 * mesh's root key.
 */
int kubefiles_believe(
	struct enroll *enroll, const uint8_t root[static FIELD_KEY_LEN], struct err *err);
/*
 * Everything below ETC/kubeadm. A bundle is kept there, for runs to come. -ENOKEY when all is
 * written but join.yaml, for which the bundle has not all that a control plane needs.
 */
int kubefiles_write(struct enroll *enroll, struct err *err);
/* Whether it was done here before. */
bool kubefiles_are_there(const struct enroll *enroll);

/* --- resolv.c --- */

/* Whose name servers pods are given. */
enum resolv_from {
	RESOLV_UPLINK,
	RESOLV_ROUTER, /* none are named: the default gateway */
	RESOLV_KEPT,   /* no gateway either: those of before */
	RESOLV_NOBODY, /* there never were any: the board's own address */
};

/* The text of ETC/kubeadm/resolv.conf as it should be now: one to three servers. */
enum resolv_from resolv_make(const struct enroll *enroll, struct buf *ret);
void resolv_tell(struct enroll *enroll, enum resolv_from from);

/* Writes it if it is there and has to change; then its servers are printed in one line. */
int resolv_follow(struct enroll *enroll, struct err *err);

/*
 * The name servers of a resolv.conf, a line each: without loopback and link-local addresses,
 * addresses of the mesh, doubles, and beyond the third. Pure. Returns how many.
 */
unsigned resolv_servers(const char *text, const struct settings *settings, struct buf *ret);
