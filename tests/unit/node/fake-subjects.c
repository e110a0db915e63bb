/* fake-subjects: see fake-subjects.h. */
#include "fake-subjects.h"

#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "node/why-router.h"
#include "sys/notify/notify.h"

enum { ASKED_MAX = 4096 };

struct fake_subjects fake;
static char asked[ASKED_MAX], asked_before[ASKED_MAX];

/* --- what is asked --- */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
	size_t len = strlen(asked);
	va_list args;

	if (len)
		asked[len++] = ' ';
	va_start(args, format);
	(void) vsnprintf(asked + len, sizeof(asked) - len, format, args);
	va_end(args);
	assert_true(strlen(asked) < sizeof(asked) - 1);
}

const char *fake_asked(void)
{
	memcpy(asked_before, asked, sizeof(asked));
	asked[0] = 0;
	return asked_before;
}

void fake_assert_asked(const char *calls)
{
	assert_string_equal(fake_asked(), calls);
}

static bool is(const char *what, const char *call)
{
	return what && !strcmp(what, call);
}

/* 0, or what the call fails with. */
static int result(const char *call, struct err *err)
{
	return is(fake.fails, call) ? err_set(err, fake.with, "%s: it fails", call) : 0;
}

static void *make(const char *name, const void *hooks, void *ctx, const void *at)
{
	const void **kept = (const void **) at;

	if (kept)
		*kept = hooks;
	if (ctx)
		fake.ctx = ctx;
	return is(fake.missing, name) ? NULL : &fake;
}

#define NEW(name)                                     \
	struct name *name##_new(struct core *core)    \
	{                                             \
		return make(#name, NULL, NULL, NULL); \
	}
#define NEW_WITH_HOOKS(name, kept)                                                              \
	struct name *name##_new(struct core *core, const struct name##_hooks *hooks, void *ctx) \
	{                                                                                       \
		return make(#name, hooks, ctx, &fake.kept);                                     \
	}
#define FREE(name)                               \
	struct name *name##_free(struct name *x) \
	{                                        \
		if (x)                           \
			say("%s_free", #name);   \
		return NULL;                     \
	}
/* A call of @name that says nothing. */
#define ASK(name, call)                     \
	void name##_##call(struct name *x)  \
	{                                   \
		assert_ptr_equal(x, &fake); \
		say("%s_%s", #name, #call); \
	}

/* --- announce --- */

struct announce *announce_new(
	struct core *core, uint64_t number, const struct announce_hooks *hooks, void *ctx)
{
	fake.number = number;
	return make("announce", hooks, ctx, &fake.announce);
}
FREE(announce)
ASK(announce, look)
ASK(announce, go_on)

void announce_check(struct announce *announce, bool up)
{
	say("announce_check-%d", up);
}

uint64_t announce_number(const struct announce *announce)
{
	return fake.number;
}

/* --- beacon --- */

int beacon_new(struct core *core, const struct peers *peers, const struct beacon_hooks *hooks,
	void *ctx, struct beacon **ret, struct err *err)
{
	int r = result("beacon_new", err);

	assert_ptr_equal(peers, &fake);
	if (r == 0)
		*ret = make("beacon", hooks, ctx, &fake.beacon);
	return r;
}
FREE(beacon)
ASK(beacon, tell)
ASK(beacon, look)

void beacon_follow(struct beacon *beacon, const struct links *links)
{
	assert_ptr_equal(beacon, &fake);
	say("beacon_follow-%d", links != NULL);
}

const struct beacon_counters *beacon_counters(const struct beacon *beacon)
{
	static const struct beacon_counters none;

	assert_ptr_equal(beacon, &fake);
	return &none;
}

/* --- cluster --- */

NEW_WITH_HOOKS(cluster, cluster)
FREE(cluster)
ASK(cluster, join)
ASK(cluster, look)
ASK(cluster, retry)
ASK(cluster, hurry)

void cluster_load(struct cluster *cluster, const char *done)
{
	say("cluster_load-%s", done);
}

int cluster_take(struct cluster *cluster, const struct kube_bundle *bundle)
{
	say("cluster_take-%s", bundle->id);
	return result("cluster_take", NULL);
}

const char *cluster_position(const struct cluster *cluster)
{
	return "position";
}

const char *cluster_tried(const struct cluster *cluster)
{
	return "tried";
}

const char *cluster_problem(const struct cluster *cluster)
{
	return "problem";
}

void cluster_follow_record(struct cluster *cluster, const struct node *self)
{
	say("cluster_follow_record-%u", self->id);
}

void cluster_log_settled(struct cluster *cluster, bool saved)
{
	say("cluster_log_settled-%d", saved);
}

void cluster_look_at_boards(struct cluster *cluster, const struct node *self)
{
	say("cluster_look_at_boards-%u", self->id);
}

bool cluster_boards_have_tried(const struct cluster *cluster, const char *bundle)
{
	return fake.have_tried;
}

json_t *cluster_boards_json(const struct cluster *cluster, const char *bundle)
{
	return json_pack("{s:s}", "bundle", bundle);
}

/* --- device, ground, ipv6 --- */

NEW_WITH_HOOKS(device, device)
FREE(device)
ASK(device, reclaim)
ASK(device, clear)

int device_hold(struct device *device, struct tunnel *tunnel, int ifindex)
{
	say("device_hold-%d", ifindex);
	return result("device_hold", NULL);
}

int device_apply(struct device *device, const struct view *view, struct err *err)
{
	say("device_apply");
	fake.view = *view;
	if (fake.ipv6 != IFACE_IPV6_UP)
		fake.device->ipv6(fake.ctx, fake.ipv6);
	return result("device_apply", err);
}

void device_look(struct device *device, const struct view *view)
{
	say("device_look");
	fake.view = *view;
	if (fake.ipv6 != IFACE_IPV6_UP)
		fake.device->ipv6(fake.ctx, fake.ipv6);
}

bool device_is_whole(const struct device *device)
{
	return fake.whole;
}

NEW_WITH_HOOKS(ground, ground)
FREE(ground)
ASK(ground, forget)

void ground_look(struct ground *ground, const struct node *self, int ifindex)
{
	say("ground_look-%u-%d", self->id, ifindex);
}

NEW_WITH_HOOKS(ipv6, ipv6_hooks)
FREE(ipv6)
ASK(ipv6, forget)

void ipv6_found(struct ipv6 *ipv6, enum iface_ipv6 found)
{
	say("ipv6_found-%d", (int) found);
	fake.ipv6_missing = found != IFACE_IPV6_UP;
}

bool ipv6_leads_to(const struct ipv6 *ipv6, uint32_t id)
{
	return id == 2;
}

bool ipv6_is_missing(const struct ipv6 *ipv6)
{
	return fake.ipv6_missing;
}

/* --- keep, names, news --- */

NEW_WITH_HOOKS(keep, keep)
FREE(keep)
ASK(keep, save_state)
ASK(keep, log)
ASK(keep, look)
ASK(keep, all)

int keep_load(struct keep *keep)
{
	say("keep_load");
	return result("keep_load", NULL);
}

struct state *keep_state(struct keep *keep)
{
	return &fake.state;
}

bool keep_take_number(struct keep *keep, uint64_t known, uint64_t *last)
{
	*last = known + 1;
	return fake.number_is_there;
}

void keep_settle_number(struct keep *keep, uint64_t last)
{
	say("keep_settle_number-%u", (unsigned) last);
}

void keep_book(struct keep *keep, uint64_t now_us)
{
	assert_int_equal(now_us, clock_now_us());
	say("keep_book");
}

struct seen *keep_seen(struct keep *keep)
{
	return (struct seen *) &fake;
}

void keep_save_seen(struct keep *keep, uint64_t now_us)
{
	assert_int_equal(now_us, clock_now_us());
	say("keep_save_seen");
}

NEW_WITH_HOOKS(names, names)
FREE(names)
ASK(names, look)
ASK(names, retry)
ASK(names, hurry)

void names_write(struct names *names, bool again)
{
	say("names_write-%d", again);
}

void names_log_settled(struct names *names, bool saved)
{
	say("names_log_settled-%d", saved);
}

NEW_WITH_HOOKS(news, news)
FREE(news)

int news_take_records(
	struct news *news, uint32_t id, const struct record *records, size_t n_records)
{
	say("news_take_records-%u-%zu", id, n_records);
	return result("news_take_records", NULL);
}

int news_take(struct news *news, const struct api_news *what)
{
	say("news_take");
	return result("news_take", NULL);
}

/* --- overlay and its tunnel --- */

NEW_WITH_HOOKS(overlay, overlay)
FREE(overlay)
ASK(overlay, look)

int overlay_open(struct overlay *overlay, const struct settings *settings, unsigned mtu,
	uint16_t port, struct err *err)
{
	int r = result("overlay_open", err);

	assert_false(fake.open);
	assert_ptr_equal(settings, netmap_settings(book_netmap(NULL)));
	say("overlay_open-%u", port);
	fake.mtu = mtu;
	fake.open = r == 0;
	return r;
}

void overlay_close(struct overlay *overlay)
{
	assert_ptr_equal(overlay, &fake);
	say("overlay_close");
	fake.open = false;
}

struct tunnel *overlay_tunnel(const struct overlay *overlay)
{
	assert_ptr_equal(overlay, &fake);
	return fake.open ? (struct tunnel *) &fake : NULL;
}

int overlay_ifindex(const struct overlay *overlay)
{
	return 7;
}

uint16_t tunnel_port(struct tunnel *tunnel)
{
	assert_ptr_equal(tunnel, &fake);
	return fake.port;
}

/* --- portmap --- */

NEW_WITH_HOOKS(portmap, portmap)
FREE(portmap)
ASK(portmap, remove)
ASK(portmap, hurry)

void portmap_follow(struct portmap *portmap, const struct view *view, const struct links *links)
{
	assert_ptr_equal(portmap, &fake);
	assert_non_null(view->tunnel);
	say("portmap_follow");
}

size_t portmap_endpoints(const struct portmap *portmap, struct endpoint ret[static PORTMAP_MAX])
{
	assert_ptr_equal(portmap, &fake);
	ret[0] = fake.port_mapped;
	return fake.port_mapped.addr.family != 0;
}

size_t portmap_report(const struct portmap *portmap, struct portmap_report ret[static PORTMAP_MAX])
{
	assert_ptr_equal(portmap, &fake);
	ret[0] = (struct portmap_report){ .family = AF_INET, .why = MAPPING_WHY_NOTHING };
	return 1;
}

const char *portmap_word(const struct portmap *portmap)
{
	return "nothing";
}

/* --- offer, roster, exchange, finder, mtus, relays --- */

struct offer *offer_new(struct core *core, const struct offer_hooks *hooks, void *ctx)
{
	return make("offer", hooks, ctx, &fake.offer);
}
FREE(offer)

void offer_look(struct offer *offer, const struct node *self, const struct candidates *own,
	const struct reached *reached)
{
	assert_ptr_equal(offer, &fake);
	assert_ptr_equal(own, &fake.own);
	assert_ptr_equal(reached, &fake.reached);
	say("offer_look-%d", self != NULL);
}

void offer_put_ended(struct offer *offer, int r, const struct err *err)
{
	assert_ptr_equal(offer, &fake);
	say("offer_put_ended-%d", r);
}

int roster_new(struct core *core, struct roster **ret, struct err *err)
{
	*ret = make("roster", NULL, NULL, NULL);
	return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}
FREE(roster)

void roster_answer(struct roster *roster, struct ipc_request *request)
{
	assert_ptr_equal(roster, &fake);
	ipc_request_reply(request, json_pack("{s:s}", "roster", "answered"));
}

const struct reached *roster_reached(const struct roster *roster)
{
	assert_ptr_equal(roster, &fake);
	return &fake.reached;
}

void roster_follow(struct roster *roster, bool inside)
{
	assert_ptr_equal(roster, &fake);
	say("roster_follow-%d", inside);
}

struct exchange *exchange_new(
	struct core *core, const struct peers *peers, const struct exchange_hooks *hooks, void *ctx)
{
	assert_ptr_equal(peers, &fake);
	return make("exchange", hooks, ctx, &fake.exchange);
}
FREE(exchange)

void exchange_follow(struct exchange *exchange, const struct node *self)
{
	assert_ptr_equal(exchange, &fake);
	say("exchange_follow-%d", self != NULL);
}

void exchange_look(struct exchange *exchange, bool connected, uint64_t now_us)
{
	assert_int_equal(now_us, clock_now_us());
	say("exchange_look-%d", connected);
}

int finder_new(struct core *core, struct peers *peers, const struct finder_hooks *hooks, void *ctx,
	struct finder **ret, struct err *err)
{
	int r = result("finder_new", err);

	assert_ptr_equal(peers, &fake);
	if (r == 0)
		*ret = make("finder", hooks, ctx, &fake.finder);
	return r;
}
FREE(finder)
ASK(finder, follow)
ASK(finder, look)
ASK(finder, moved)

void finder_own(struct finder *finder, const struct finder_own *own)
{
	const struct candidates *links = &fake.own;

	assert_ptr_equal(finder, &fake);
	assert_int_equal(own->at.n_local, links->n_endpoints);
	assert_memory_equal(
		own->at.list, links->endpoints, links->n_endpoints * sizeof(links->endpoints[0]));
	fake.told = *own;
	say("finder_own");
}

void finder_sampled(struct finder *finder, const struct endpoint *outside)
{
	assert_ptr_equal(finder, &fake);
	say("finder_sampled-%u", outside->port);
}

void finder_doubt(struct finder *finder, uint32_t id)
{
	assert_ptr_equal(finder, &fake);
	say("finder_doubt-%u", id);
}

const struct finder_counters *finder_counters(const struct finder *finder)
{
	static const struct finder_counters none;

	assert_ptr_equal(finder, &fake);
	return &none;
}

void finder_probe(struct finder *finder, uint32_t id, const struct endpoint *to, size_t len)
{
	assert_ptr_equal(finder, &fake);
	say("finder_probe-%u-%u", id, (unsigned) len);
}

void finder_call(struct finder *finder, uint32_t id)
{
	assert_ptr_equal(finder, &fake);
	say("finder_call-%u", id);
}

void finder_guess(struct finder *finder, uint32_t id, const struct endpoint *to)
{
	assert_ptr_equal(finder, &fake);
	say("finder_guess-%u-%u", id, to->port);
}

bool finder_seal(struct finder *finder, uint32_t id, uint8_t ret[static DISCO_MIN_LEN])
{
	assert_ptr_equal(finder, &fake);
	say("finder_seal-%u", id);
	return true;
}

bool finder_recognises(struct finder *finder, uint32_t id, const uint8_t *data, size_t len)
{
	assert_ptr_equal(finder, &fake);
	say("finder_recognises-%u-%zu", id, len);
	return true;
}

int mtus_new(struct core *core, struct peers *peers, const struct mtus_hooks *hooks, void *ctx,
	struct mtus **ret, struct err *err)
{
	int r = result("mtus_new", err);

	assert_ptr_equal(peers, &fake);
	if (r == 0)
		*ret = make("mtus", hooks, ctx, &fake.mtus);
	return r;
}
FREE(mtus)
ASK(mtus, follow)
ASK(mtus, look)

void mtus_set_top(struct mtus *mtus, unsigned top)
{
	assert_ptr_equal(mtus, &fake);
	say("mtus_set_top-%u", top);
}

void mtus_doubt(struct mtus *mtus, uint32_t id, uint64_t sent)
{
	assert_ptr_equal(mtus, &fake);
	say("mtus_doubt-%u-%ju", id, (uintmax_t) sent);
}

void mtus_probed(
	struct mtus *mtus, uint32_t id, const struct endpoint *to, size_t len, uint64_t rtt_us)
{
	assert_ptr_equal(mtus, &fake);
	say("mtus_probed-%u-%u-%u", id, (unsigned) len, (unsigned) rtt_us);
}

unsigned mtus_of(const struct mtus *mtus, uint32_t id)
{
	assert_ptr_equal(mtus, &fake);
	return 1280 + id;
}

int finder_use(struct finder *finder, struct tunnel *tunnel, struct err *err)
{
	assert_ptr_equal(finder, &fake);
	assert_true(!tunnel || (fake.open && (void *) tunnel == &fake));
	say("finder_use-%d", tunnel != NULL);
	return result("finder_use", err);
}

int relays_new(struct core *core, struct peers *peers, const struct relays_hooks *hooks, void *ctx,
	struct relays **ret, struct err *err)
{
	int r = result("relays_new", err);

	assert_ptr_equal(peers, &fake);
	if (r == 0)
		*ret = make("relays", hooks, ctx, &fake.relays);
	return r;
}
FREE(relays)
ASK(relays, follow)
ASK(relays, moved)
ASK(relays, look)

void relays_use(struct relays *relays, struct tunnel *tunnel)
{
	assert_ptr_equal(relays, &fake);
	assert_true(!tunnel || (fake.open && (void *) tunnel == &fake));
	say("relays_use-%d", tunnel != NULL);
}

void relays_heard(struct relays *relays, uint32_t id)
{
	assert_ptr_equal(relays, &fake);
	say("relays_heard-%u", id);
}

void relays_hurry(struct relays *relays)
{
	say("relays_hurry");
}

void relays_missed(struct relays *relays, uint32_t id)
{
	assert_ptr_equal(relays, &fake);
	say("relays_missed-%u", id);
}

uint32_t relays_home(const struct relays *relays)
{
	assert_ptr_equal(relays, &fake);
	return fake.home;
}

size_t relays_report(const struct relays *relays, struct relays_report ret[static RELAYS_MAX])
{
	assert_ptr_equal(relays, &fake);
	ret[0] = (struct relays_report){ .id = fake.home, .home = true, .state = "bound" };
	return fake.home != 0;
}

size_t relays_stun(const struct relays *relays, struct relays_stun *ret, size_t max)
{
	assert_ptr_equal(relays, &fake);
	assert_true(max > 0);
	ret[0] = (struct relays_stun){ .id = fake.home };
	return fake.home != 0;
}

/* --- holes --- */

int holes_new(struct core *core, struct peers *peers, const struct holes_hooks *hooks, void *ctx,
	struct holes **ret, struct err *err)
{
	int r = result("holes_new", err);

	assert_ptr_equal(peers, &fake);
	if (r == 0)
		*ret = make("holes", hooks, ctx, &fake.holes);
	return r;
}
FREE(holes)
ASK(holes, look)

void holes_use(struct holes *holes, struct tunnel *tunnel)
{
	assert_ptr_equal(holes, &fake);
	assert_true(!tunnel || (fake.open && (void *) tunnel == &fake));
	say("holes_use-%d", tunnel != NULL);
}

void holes_called(struct holes *holes, uint32_t id, bool guess)
{
	assert_ptr_equal(holes, &fake);
	say("holes_called-%u-%d", id, guess);
}

struct holes_counters holes_counters(const struct holes *holes)
{
	assert_ptr_equal(holes, &fake);
	return (struct holes_counters){ .tries = 1 };
}

/* --- mapped --- */

int mapped_new(struct core *core, const struct peers *peers, const struct mapped_hooks *hooks,
	void *ctx, struct mapped **ret, struct err *err)
{
	int r = result("mapped_new", err);

	assert_ptr_equal(peers, &fake);
	if (r == 0)
		*ret = make("mapped", hooks, ctx, &fake.mapped);
	return r;
}
FREE(mapped)
ASK(mapped, follow)
ASK(mapped, moved)
ASK(mapped, look)
ASK(mapped, sample)

void fake_end_check(void)
{
	void (*done)(void *ctx) = fake.check_done;

	fake.check_done = NULL;
	if (done)
		done(fake.check_ctx);
}

void mapped_use(struct mapped *mapped, struct tunnel *tunnel)
{
	assert_ptr_equal(mapped, &fake);
	assert_true(!tunnel || (fake.open && (void *) tunnel == &fake));
	say("mapped_use-%d", tunnel != NULL);
	if (!tunnel)
		fake_end_check();
}

void mapped_take(struct mapped *mapped, const struct tunnel_event *event)
{
	say("mapped_take-%zu", event->len);
}

size_t mapped_endpoints(const struct mapped *mapped, struct endpoint ret[static NAT_ANNOUNCED_MAX])
{
	assert_ptr_equal(mapped, &fake);
	ret[0] = fake.outside;
	return fake.outside.port != 0;
}

const struct nat_side *mapped_sides(const struct mapped *mapped)
{
	return fake.sides;
}

size_t mapped_servers(const struct mapped *mapped, struct mapped_server ret[static NAT_SERVERS_MAX])
{
	assert_int_equal(endpoint_parse("192.0.2.4:3478", &ret[0].at), 0);
	assert_int_equal(endpoint_parse("[2001:db8::9]:3479", &ret[1].at), 0);
	ret[0] = (struct mapped_server){ ret[0].at, fake.home, NULL, true, 12345 };
	ret[1] = (struct mapped_server){ ret[1].at, 0, "stun.example.org", true, 0 };
	return 2;
}

bool mapped_far_server(const struct mapped *mapped, struct endpoint *ret)
{
	assert_ptr_equal(mapped, &fake);
	*ret = fake.outside;
	return fake.outside.port != 0;
}

const struct mapped_counters *mapped_counters(const struct mapped *mapped)
{
	static const struct mapped_counters some = { 1, 2, 3, 4, 5, 6 };

	return &some;
}

int mapped_check(struct mapped *mapped, void (*done)(void *ctx), void *ctx)
{
	say("mapped_check");
	if (fake.checks)
		return -EBUSY;
	fake.check_done = done;
	fake.check_ctx = ctx;
	return 0;
}

/* --- peers, ping, pods, resolv --- */

struct peers *peers_new(const struct book *book, struct seen *seen, uint32_t self,
	const struct peers_hooks *hooks, void *ctx)
{
	assert_ptr_equal(seen, &fake);
	return make("peers", hooks, ctx, &fake.peers_hooks);
}
FREE(peers)
ASK(peers, forget)
ASK(peers, clear)

const struct peer *peers_list(const struct peers *peers, size_t *ret_n)
{
	assert_ptr_equal(peers, &fake);
	*ret_n = fake.n_peers;
	return fake.peers;
}

const struct peer *peers_get(const struct peers *peers, uint32_t id)
{
	for (size_t i = 0; i < fake.n_peers; i++)
		if (fake.peers[i].id == id)
			return &fake.peers[i];
	return NULL;
}

size_t peers_reachable(const struct peers *peers)
{
	return fake.n_reachable;
}

int peers_apply(struct peers *peers, struct tunnel *tunnel, const struct endpoint *own,
	size_t n_own, struct err *err)
{
	assert_ptr_equal(tunnel, &fake);
	assert_int_equal(n_own, fake.own.n_endpoints);
	say("peers_apply");
	return result("peers_apply", err);
}

int peers_apply_one(struct peers *peers, struct tunnel *tunnel, uint32_t id,
	const struct endpoint *own, size_t n_own, struct err *err)
{
	assert_ptr_equal(tunnel, &fake);
	assert_int_equal(n_own, fake.own.n_endpoints);
	say("peers_apply_one-%u", id);
	return result("peers_apply_one", err);
}

void peers_look(struct peers *peers, struct tunnel *tunnel, uint64_t now_us)
{
	assert_int_equal(now_us, clock_now_us());
	say("peers_look-%d", tunnel != NULL);
}

void peers_initiate(struct peers *peers, struct tunnel *tunnel)
{
	assert_ptr_equal(tunnel, &fake);
	say("peers_initiate");
}

int ping_new(sd_event *event, const char *ifname, struct ping **ret, struct err *err)
{
	int r = result("ping_new", err);

	if (r == 0)
		*ret = make("ping", NULL, NULL, NULL);
	return r;
}
FREE(ping)

int ping_send(struct ping *ping, const struct ip_addr *to, size_t size, uint64_t timeout_us,
	ping_done_fn done, void *ctx, struct err *err)
{
	char text[IP_TEXT_MAX];

	say("ping_send-%s", ip_addr_format(to, text));
	fake.ping_to = *to;
	fake.ping_size = size;
	fake.ping_timeout_us = timeout_us;
	fake.ping_done = done;
	fake.ping_ctx = ctx;
	return result("ping_send", err);
}

NEW(pods)
FREE(pods)
ASK(pods, hurry)
ASK(pods, forget)

void pods_look(struct pods *pods, uint64_t now_us)
{
	assert_int_equal(now_us, clock_now_us());
	say("pods_look");
}

NEW(resolv)
FREE(resolv)
ASK(resolv, look)
ASK(resolv, retry)
ASK(resolv, hurry)

/* --- sync --- */

static void keep_urls(const struct sync_options *options)
{
	fake.urls[0] = 0;
	for (size_t i = 0; i < options->n_urls; i++)
		(void) strcat(strcat(fake.urls, i ? " " : ""), options->urls[i]);
	assert_int_equal(options->n_pins, 1);
	(void) snprintf(fake.cert, sizeof(fake.cert), "%s", options->cert_pem);
	(void) snprintf(fake.key, sizeof(fake.key), "%s", options->key_pem);
	(void) snprintf(fake.proxy, sizeof(fake.proxy), "%s", options->proxy ? options->proxy : "");
	memcpy(fake.uses, options->uses, options->n_urls * sizeof(*fake.uses));
}

int sync_new(sd_event *event, const struct sync_options *options, const struct sync_hooks *hooks,
	void *ctx, struct sync **ret, struct err *err)
{
	int r = result("sync_new", err);

	if (r == 0)
		*ret = make("sync", hooks, ctx, &fake.sync_hooks);
	keep_urls(options);
	return r;
}
FREE(sync)
ASK(sync, start)
ASK(sync, stop)
ASK(sync, link_changed)

int sync_configure(struct sync *sync, const struct sync_options *options, struct err *err)
{
	say("sync_configure");
	keep_urls(options);
	return result("sync_configure", err);
}

void sync_set_presence(struct sync *sync, json_t *doc)
{
	say("sync_set_presence-%s", json_string_value(doc));
}

int sync_put(struct sync *sync, const char *path, const json_t *doc, sync_done_fn done, void *ctx,
	struct err *err)
{
	const char *id = json_string_value(json_object_get(doc, "id"));

	say("sync_put-%s%s%s", path, id ? "-" : "", id ? id : "");
	fake.put_done = done;
	fake.put_ctx = ctx;
	return result("sync_put", err);
}

const struct sync_state *sync_state(const struct sync *sync)
{
	return &fake.sync;
}

/* --- uapi, uplink --- */

NEW(uapi)
FREE(uapi)
ASK(uapi, keep)
ASK(uapi, retry)
ASK(uapi, hurry)

void uapi_open(struct uapi *uapi, struct tunnel *tunnel)
{
	assert_ptr_equal(tunnel, &fake);
	say("uapi_open");
}

void uapi_close(struct uapi *uapi)
{
	say("uapi_close");
}

int uplink_new(sd_event *event, struct nl *nl, const char *ifname, const struct uplink_hooks *hooks,
	void *ctx, struct uplink **ret, struct err *err)
{
	int r = result("uplink_new", err);

	if (r == 0)
		*ret = make("uplink", hooks, ctx, &fake.uplink);
	return r;
}
FREE(uplink)

void uplink_set(struct uplink *uplink, const struct ip_prefix *denied, size_t n, uint16_t port)
{
	assert_int_equal(n, SETTINGS_RANGES);
	say("uplink_set-%u", port);
}

int uplink_look(struct uplink *uplink, struct err *err)
{
	say("uplink_look");
	return result("uplink_look", err);
}

const struct candidates *uplink_candidates(const struct uplink *uplink)
{
	return &fake.own;
}

const struct links *uplink_links(const struct uplink *uplink)
{
	static const struct links none;

	return &none;
}

/* --- why-router --- */

void why_router_find(struct nl *nl, const struct links *links, char ret[static WHY_ROUTER_MAX])
{
	(void) snprintf(ret, WHY_ROUTER_MAX, "02:00:5e:10:00:01");
}

/* --- waits, wall --- */

int waits_new(struct core *core, const struct waits_hooks *hooks, void *ctx, struct waits **ret,
	struct err *err)
{
	int r = result("waits_new", err);

	if (r == 0)
		*ret = make("waits", hooks, ctx, &fake.waits);
	return r;
}
FREE(waits)

void waits_add(struct waits *waits, struct ipc_request *request, const struct wait_for *what,
	uint64_t timeout_us)
{
	say("waits_add");
	fake.wait_for = *what;
	fake.wait_us = timeout_us;
	ipc_request_reply(request, NULL);
}

int wall_new(struct core *core, const struct wall_hooks *hooks, void *ctx, struct wall **ret,
	struct err *err)
{
	int r = result("wall_new", err);

	if (r == 0)
		*ret = make("wall", hooks, ctx, &fake.wall);
	return r;
}
FREE(wall)
ASK(wall, begin)
ASK(wall, take_down)

void wall_apply(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own)
{
	assert_ptr_equal(settings, netmap_settings(book_netmap(NULL)));
	assert_ptr_equal(own, &fake.own);
	say("wall_apply-%u", self->id);
}

void wall_retry(struct wall *wall, const struct settings *settings, const struct node *self,
	const struct candidates *own)
{
	assert_ptr_equal(settings, netmap_settings(book_netmap(NULL)));
	say("wall_retry-%u", self->id);
}

bool wall_is_busy(const struct wall *wall)
{
	assert_ptr_equal(wall, &fake);
	return fake.wall_busy;
}

/* --- why --- */

struct why *why_new(
	struct core *core, const struct peers *peers, const struct why_hooks *hooks, void *ctx)
{
	assert_ptr_equal(peers, &fake);
	return make("why", hooks, ctx, &fake.why);
}
FREE(why)

void why_answer(struct why *why, struct ipc_request *request)
{
	assert_ptr_equal(why, &fake);
	ipc_request_reply(request, json_pack("{s:s}", "why", "answered"));
}

json_t *why_tell_board(struct why *why, uint32_t about)
{
	assert_ptr_equal(why, &fake);
	return json_pack("{s:I}", "about", (json_int_t) about);
}

/* --- the rest of the book --- */

const struct mesh_log *book_log(const struct book *book)
{
	return fake.log;
}

bool book_take_held_back(struct book *book, uint64_t now_us)
{
	assert_int_equal(now_us, clock_now_us());
	return fake.held_back;
}

bool book_has_changes(const struct book *book)
{
	return fake.has_changes;
}

/* --- systemd --- */

int sd_booted(void)
{
	return fake.booted;
}

int notify_send(const char *format, ...)
{
	size_t len = strlen(fake.notes);
	va_list args;

	if (fake.is_deaf)
		return -EAGAIN;
	va_start(args, format);
	(void) vsnprintf(fake.notes + len, sizeof(fake.notes) - len, format, args);
	va_end(args);
	(void) strcat(fake.notes, ";");
	return 1;
}

int notify_status(const char *format, ...)
{
	va_list args;

	if (fake.is_deaf)
		return -EAGAIN;
	say("notify_status");
	va_start(args, format);
	(void) vsnprintf(fake.status, sizeof(fake.status), format, args);
	va_end(args);
	return 1;
}

/* --- a hearthd --- */

struct hearthd *fake_hearthd_new(void)
{
	struct hearthd *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	memset(&fake, 0, sizeof(fake));
	asked[0] = 0;
	fake.port = 41741;
	fake.whole = true;
	fake.log = maker_log();
	h->core = *fake_core_new();
	h->core.config.port = 41741;
	h->state_lock = -1;
	h->cert_pem = strdup("certificate");
	h->key_pem = strdup("key");
	return h;
}

struct hearthd *fake_hearthd_free(struct hearthd *h)
{
	free(h->cert_pem);
	free(h->key_pem);
	free(h->asked);
	free(h->said);
	fake.log = mesh_log_free(fake.log);
	(void) fake_core_free(&h->core);
	free(h);
	return NULL;
}

void fake_hearthd_is_in(struct hearthd *h)
{
	const struct node *self = core_self(&h->core);

	memcpy(h->core.wg_public, self->wg, sizeof(h->core.wg_public));
	memcpy(h->core.identity, self->identity, sizeof(h->core.identity));
}

void fake_hearthd_open(struct hearthd *h)
{
	struct err err = { 0 };

	h->keep = (struct keep *) &fake;
	h->news = (struct news *) &fake;
	h->ping = (struct ping *) &fake;
	h->pods = (struct pods *) &fake;
	h->uplink = (struct uplink *) &fake;
	assert_int_equal(assist_open(h), 0);
	assert_int_equal(mesh_open(h, &err), 0);
	assert_int_equal(ask_open(h, &err), 0);
	assert_ptr_equal(fake.ctx, h);
	(void) fake_asked();
}

void fake_hearthd_close(struct hearthd *h)
{
	h->announce = announce_free(h->announce);
	mesh_close(h);
	h->sync = sync_free(h->sync);
	assist_close(h);
	free(h->asked);
	h->asked = NULL;
	h->keep = NULL;
	h->news = NULL;
	h->ping = NULL;
	h->pods = NULL;
	h->uplink = NULL;
}
