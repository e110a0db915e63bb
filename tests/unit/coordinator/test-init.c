/*
 * init: a mesh is made whole, once, of ranges and names that can be; and what was cut off is
 * finished.
 */
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pwd.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/usage.h"
#include "coordinator/init.h"
#include "board/keys.h"
#include "coordinator/names.h"
#include "fake-machine.h"
#include "sys/x509/x509.h"
#include "sys/priv/priv.h"

static char top[] = "/tmp/hearth-init.XXXXXX", dir[64], said[65536];

static struct {
	uid_t me;
	bool no_user;
	char as[64]; /* the last process's user */
} it;

/* --- the machine --- */

static uid_t real_me(void)
{
	struct stat st;

	assert_int_equal(lstat(top, &st), 0);
	return st.st_uid;
}

uid_t geteuid(void)
{
	return it.me;
}

struct passwd *getpwnam(const char *name)
{
	static struct passwd user;

	user = (struct passwd){ .pw_name = (char *) (uintptr_t) name };
	user.pw_uid = real_me();
	user.pw_gid = getegid();
	return it.no_user ? NULL : &user;
}

int priv_run_as(const char *user, priv_fn fn, void *ctx, void *share, size_t len, struct err *err)
{
	(void) snprintf(it.as, sizeof(it.as), "%s", user);
	return fn(ctx, err);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static int begin(void **state)
{
	memset(&fake_machine, 0, sizeof(fake_machine));
	fake_machine.urls[0] = "https://198.51.100.1:8443";
	fake_machine.urls[1] = "https://[2001:db8::1]:8443";
	fake_store_reset();
	memset(&it, 0, sizeof(it));
	strcpy(top + strlen(top) - 6, "XXXXXX");
	assert_non_null(mkdtemp(top));
	(void) snprintf(dir, sizeof(dir), "%s/coord", top);
	it.me = real_me();
	fake_store_open_fails = 0;
	return 0;
}

static int end(void **state)
{
	assert_int_equal(nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	fake_store_reset();
	return 0;
}

/*
 * `hearth-coord init --state DIR OPTION...`, the options parted by spaces. What it says is @said.
 */
static int run(const char *options)
{
	char copy[1024], state[128], *argv[64] = { NULL }, *rest = NULL;
	int argc = 0, kept[2] = { dup(1), dup(2) }, fd = memfd_create("said", MFD_CLOEXEC), r;

	(void) snprintf(state, sizeof(state), "--state=%s", dir);
	(void) snprintf(copy, sizeof(copy), "init %s %s", state, options);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		argv[argc++] = word;
	(void) fflush(NULL);
	assert_true(dup2(fd, 1) == 1 && dup2(fd, 2) == 2);
	r = init_run(argc, argv);
	(void) fflush(NULL);
	for (int i = 0; i < 2; i++) {
		(void) dup2(kept[i], i + 1);
		(void) close(kept[i]);
	}
	ssize_t n = pread(fd, said, sizeof(said) - 1, 0);

	said[n > 0 ? n : 0] = '\0';
	(void) close(fd);
	return r;
}

static void says(const char *text)
{
	if (!strstr(said, text))
		fail_msg("\"%s\" does not say \"%s\"", said, text);
}

static bool there(const char *where, const char *name)
{
	char path[COORD_PATH_MAX];

	coord_path(where, name, path);
	return access(path, F_OK) == 0;
}

static const char *root_dir(void)
{
	static char path[96];

	(void) snprintf(path, sizeof(path), "%s-root", dir);
	return path;
}

static void read_seed(const char *where, const char *name, uint8_t ret[static KEYS_SEED_LEN])
{
	char path[COORD_PATH_MAX];
	struct err err = { 0 };

	coord_path(where, name, path);
	if (keys_read(path, ret, &err) < 0)
		fail_msg("%s", err.text);
}

/* It refuses, with @status, and nothing is there afterwards. */
static void refused(const char *options, int status, const char *text)
{
	assert_int_equal(run(options), status);
	says(text);
	assert_false(there(root_dir(), COORD_ROOT_KEY));
	assert_false(there(root_dir(), COORD_ROOT_KEY ".new"));
	assert_int_equal(fake_store_rows(TABLE_META), 0);
}

/* What the coordinator would find in it. */
static struct ledger *ledger_of(void)
{
	uint8_t root[KEYS_SEED_LEN], signing[KEYS_SEED_LEN], key[RECORD_KEY_LEN],
		hash[RECORD_HASH_LEN];
	char text[KEY_BASE64_LEN];
	struct ledger *ledger = NULL;
	struct err err = { 0 };

	read_seed(root_dir(), COORD_ROOT_KEY, root);
	read_seed(dir, COORD_SIGNING_KEY, signing);
	record_public_key(root, key);
	record_root_hash(key, hash);
	key_to_base64(hash, text);
	assert_string_equal(fake_store_get(TABLE_META, "root"), text);
	if (ledger_open(fake_store(), hash, signing, &ledger, &err) < 0)
		fail_msg("%s", err.text);
	return ledger;
}

static void test_made(void **state)
{
	struct stat st;
	const struct settings *s;
	char path[COORD_PATH_MAX];
	uint8_t tls[KEYS_SEED_LEN], tls_key[X509_KEY_LEN];
	char pin[X509_PIN_TEXT_LEN], found[KEY_BASE64_LEN];

	assert_int_equal(run(""), 0);
	says("Made a mesh");
	says("found at  https://198.51.100.1:8443\n          https://[2001:db8::1]:8443\n");
	says("its pin   sha256//");
	says("Keep a copy of");
	assert_string_equal(fake_store_get(TABLE_META, "mesh"), "home");
	assert_string_equal(fake_store_get(TABLE_META, "urls"), "found");
	struct ledger *ledger = ledger_of();

	s = netmap_settings(ledger_netmap(ledger));
	assert_string_equal(s->mesh, "home");
	assert_int_equal(s->n_urls, 2);
	assert_int_equal(s->n_pins, 1);
	assert_int_equal(s->ula.addr.bytes[0], 0xfd);
	key_to_base64(s->pins[0], found);
	ledger_free(ledger);
	read_seed(dir, COORD_TLS_KEY, tls);
	assert_int_equal(x509_public_key(tls, tls_key), 0);
	assert_int_equal(x509_pin_of_key(tls_key, pin), 0);
	assert_string_equal(found, pin);
	says(pin);
	assert_true(there(dir, COORD_TLS_CERT));
	assert_false(there(root_dir(), COORD_ROOT_KEY ".new"));
	assert_false(there(dir, COORD_ROOT_KEY));
	assert_int_equal(lstat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	coord_path(root_dir(), COORD_ROOT_KEY, path);
	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_asked(void **state)
{
	struct ledger *ledger;
	const struct settings *s;
	char text[PREFIX_TEXT_MAX];

	/* The ULA first, whatever the order: the others are told apart from it. */
	assert_int_equal(
		run("--mesh Our-House --pods6 fd12:3456:789a:2000::/56 --mesh4=10.9.0.0/16 "
		    "--pods4 10.10.0.0/16 --services4 10.11.0.0/16 "
		    "--services6=fd12:3456:789a:f001::/112 --ula fd12:3456:789a::/48 "
		    "--url https://a:1 --url https://b:2"),
		0);
	assert_string_equal(fake_store_get(TABLE_META, "urls"), "given");
	assert_string_equal(fake_store_get(TABLE_META, "mesh"), "our-house");
	assert_int_equal(fake_machine.asked_urls, 0);
	ledger = ledger_of();
	s = netmap_settings(ledger_netmap(ledger));
	assert_string_equal(ip_prefix_format(&s->mesh4, text), "10.9.0.0/16");
	assert_string_equal(ip_prefix_format(&s->ula, text), "fd12:3456:789a::/48");
	assert_string_equal(ip_prefix_format(&s->mesh6, text), "fd12:3456:789a::/64");
	assert_string_equal(ip_prefix_format(&s->pods4, text), "10.10.0.0/16");
	assert_string_equal(ip_prefix_format(&s->pods6, text), "fd12:3456:789a:2000::/56");
	assert_string_equal(ip_prefix_format(&s->services4, text), "10.11.0.0/16");
	assert_string_equal(ip_prefix_format(&s->services6, text), "fd12:3456:789a:f001::/112");
	assert_string_equal(s->urls[1], "https://b:2");
	assert_int_equal(s->n_urls, 2);
	assert_int_equal(s->n_by_hand, 2);
	ledger_free(ledger);
}

static void test_wrong_use(void **state)
{
	static const struct {
		const char *options, *says;
	} cases[] = {
		{ "stray", "did you mean --mesh stray" },
		{ "--nonsense", "--nonsense" },
		{ "--mesh UP_PER", "\"up-per\" would do" },
		{ "--mesh -", "a name is 1 to 63" },
		{ "--mesh aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"1 to 63" },
		{ "--port 0", "1 to 65535" },
		{ "--port 65536", "1 to 65535" },
		{ "--mesh4 10.77.0.1/16", "IPv4 prefix" },
		{ "--mesh4 10.77.0.0", "IPv4 prefix" },
		{ "--mesh4 fd00::/48", "IPv4 prefix" },
		{ "--pods6 10.0.0.0/8", "IPv6 prefix" },
		{ "--ula 10.0.0.0/8", "IPv6 prefix" },
		{ "--ula fd00::/64", "must be a /48" },
		{ "--ula 2001:db8::/48", "must be a /48" },
		{ "--url http://x", "write https://x" },
		{ "--url https://x/path", "behind its host and port" },
		{ "--url https://me:secret@x", "a user or a password" },
		{ "--mesh4 nonsense --ula fd00::/64", "must be a /48" },
	};
	char many[1024] = "";

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		refused(cases[i].options, USAGE_STATUS, cases[i].says);
	for (int i = 0; i <= FIELD_URLS_MAX; i++)
		strcat(many, "--url https://x:1 ");
	refused(many, USAGE_STATUS, "are the most");
	assert_int_equal(run("--help"), 0);
	says("--services6");
	assert_int_equal(fake_store_rows(TABLE_META), 0);
}

static void test_ranges(void **state)
{
	refused("--pods4 10.77.128.0/17", 1, "overlaps");
	fake_machine.locals[0] = "10.77.3.0/24";
	refused("", 1, "lan0");
	fake_machine.locals[0] = NULL;
	refused("--mesh4 8.8.8.0/24", 1, "--allow-public-ranges");
	assert_int_equal(run("--dry-run --mesh4 8.8.8.0/24 --allow-public-ranges"), 0);
	assert_int_equal(run("--dry-run --mesh4 100.64.0.0/16"), 0);
	fake_machine.tailscale = true;
	refused("--mesh4 100.64.0.0/16", 1, "Tailscale");
	fake_machine.locals_fail = EPERM;
	refused("", 1, "the kernel says no");
}

static void test_urls(void **state)
{
	fake_machine.urls_fail = EPERM;
	refused("", 1, "ask for this machine's addresses");
	fake_machine.urls_fail = 0;
	fake_machine.urls[0] = fake_machine.urls[1] = NULL;
	refused("--port 9443", 1, "https://HOST:9443");
	refused("--url https://x:1 --url https://10.77.0.9:8443", 1, "10.77.0.0/16");
	refused("--mesh4 10.9.0.0/16 --url https://10.9.0.1", 1, "10.9.0.0/16");
	refused("--mesh our --url https://n100.our.internal:8443", 1, "a name of this mesh");
	assert_int_equal(run("--url https://x:1"), 0);
}

static void test_dry_run(void **state)
{
	assert_int_equal(run("--dry-run --mesh other"), 0);
	says("other");
	says("10.77.0.0/16");
	assert_null(strstr(said, "its pin")); /* there is none yet */
	assert_false(there(top, "coord"));
	assert_false(there(top, "coord-root"));
	assert_int_equal(fake_store_rows(TABLE_META), 0);
}

static void test_once(void **state)
{
	uint8_t before[KEYS_SEED_LEN], after[KEYS_SEED_LEN];
	char path[COORD_PATH_MAX];

	assert_int_equal(run(""), 0);
	coord_path(dir, COORD_DATABASE, path); /* the store is a fake */
	assert_int_equal(file_write_atomic(path, "", 0, 0600), 0);
	read_seed(root_dir(), COORD_ROOT_KEY, before);
	assert_int_equal(run(""), 1);
	says("already, of the mesh home; nothing was changed");
	assert_int_equal(run("--if-needed"), 0);
	says("already, of the mesh home; nothing was changed");
	fake_store_open_fails = -EBUSY;
	assert_int_equal(run(""), 1);
	says("already and it runs");
	assert_int_equal(run("--if-needed"), 0);
	fake_store_open_fails = -EBADMSG;
	assert_int_equal(run("--if-needed"), 1);
	says("the disk says no");
	fake_store_open_fails = 0;
	fake_store_put(TABLE_META, "mesh", "\033[31m"); /* its user may write anything there */
	assert_int_equal(run(""), 1);
	says("already and it runs");
	read_seed(root_dir(), COORD_ROOT_KEY, after);
	assert_memory_equal(before, after, sizeof(before));
	/* Its directory is gone: the root key may be all that is left of a mesh. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(run(""), 1);
	says("the root key of a mesh whose coordinator is not in");
	read_seed(root_dir(), COORD_ROOT_KEY, after);
	assert_memory_equal(before, after, sizeof(before));
}

static void rename_in(const char *where, const char *from, const char *to)
{
	char a[COORD_PATH_MAX], b[COORD_PATH_MAX];

	coord_path(where, from, a);
	coord_path(where, to, b);
	assert_int_equal(rename(a, b), 0);
}

/* Cut off before root.key had its name: the next one gives it, unless it is only to look. */
static void test_cut_off(void **state)
{
	char path[COORD_PATH_MAX];

	assert_int_equal(run(""), 0);
	coord_path(dir, COORD_DATABASE, path);
	assert_int_equal(file_write_atomic(path, "", 0, 0600), 0);
	rename_in(root_dir(), COORD_ROOT_KEY, COORD_ROOT_KEY ".new");
	assert_int_equal(run("--if-needed --dry-run"), 0);
	assert_false(there(root_dir(), COORD_ROOT_KEY));
	assert_int_equal(run("--if-needed"), 0);
	assert_true(there(root_dir(), COORD_ROOT_KEY));
	assert_false(there(root_dir(), COORD_ROOT_KEY ".new"));
}

/* An older version's root key lies among hearth-coord's files. */
static void older(const char *name, const uint8_t seed[static KEYS_SEED_LEN])
{
	char path[COORD_PATH_MAX];

	coord_path(dir, name, path);
	assert_int_equal(keys_write(path, seed, NULL), 0);
}

static void test_taken_over(void **state)
{
	static const uint8_t seed[KEYS_SEED_LEN] = { 3, 4, 5 };
	uint8_t found[KEYS_SEED_LEN];
	char path[COORD_PATH_MAX], other[COORD_PATH_MAX];

	assert_int_equal(mkdir(dir, 0700), 0);
	fake_store_put(TABLE_META, "mesh", "home");
	coord_path(dir, COORD_DATABASE, path);
	assert_int_equal(file_write_atomic(path, "", 0, 0600), 0);
	assert_int_equal(run("--if-needed"), 0); /* there is none */
	assert_false(there(top, "coord-root"));
	older(COORD_ROOT_KEY, seed);
	assert_int_equal(file_write_atomic(root_dir(), "", 0, 0600), 0); /* in its way */
	assert_int_equal(run("--if-needed"), 1);
	says("name ");
	assert_int_equal(unlink(root_dir()), 0);
	assert_int_equal(symlink("nowhere", root_dir()), 0);
	assert_int_equal(run("--if-needed"), 1);
	says("make ");
	assert_true(there(dir, COORD_ROOT_KEY));
	assert_int_equal(unlink(root_dir()), 0);
	coord_path(dir, COORD_ROOT_KEY, path);
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(run("--if-needed"), 0);
	assert_true(there(
		dir, COORD_ROOT_KEY)); /* others may have read it: it is not taken for root's */
	assert_int_equal(chmod(path, 0600), 0);
	it.me = real_me() + 1;
	assert_int_equal(run("--if-needed"), 0);
	assert_true(there(dir, COORD_ROOT_KEY)); /* nor is another's */
	it.me = real_me();
	coord_path(dir, "link", other);
	rename_in(dir, COORD_ROOT_KEY, "link");
	assert_int_equal(symlink("link", path), 0);
	assert_int_equal(run("--if-needed"), 0);
	assert_true(there(dir, COORD_ROOT_KEY)); /* nor what is only a name */
	assert_int_equal(unlink(path), 0);
	rename_in(dir, "link", COORD_ROOT_KEY ".new");
	assert_int_equal(run("--if-needed"), 0);
	says("the root key was moved");
	read_seed(root_dir(), COORD_ROOT_KEY, found);
	assert_memory_equal(found, seed, sizeof(seed));
	assert_false(there(dir, COORD_ROOT_KEY ".new"));
	/* Under its own name it comes first. */
	rename_in(root_dir(), COORD_ROOT_KEY, "away");
	older(COORD_ROOT_KEY, seed);
	older(COORD_ROOT_KEY ".new", (const uint8_t[KEYS_SEED_LEN]){ 9 });
	assert_int_equal(run("--if-needed"), 0);
	read_seed(root_dir(), COORD_ROOT_KEY, found);
	assert_memory_equal(found, seed, sizeof(seed));
	assert_true(there(dir, COORD_ROOT_KEY ".new"));
}

static void test_directories(void **state)
{
	/* "/" at its end or not, the root key lies beside it. */
	strcat(dir, "//");
	assert_int_equal(run(""), 0);
	dir[strlen(dir) - 2] = '\0';
	assert_true(there(root_dir(), COORD_ROOT_KEY));
	(void) snprintf(dir, sizeof(dir), "%s/other", top);
	assert_int_equal(mkdir(dir, 0700), 0);
	it.me = real_me() + 1;
	assert_int_equal(run(""), 1);
	says("does not belong to user root");
	it.me = real_me();
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(file_write_atomic(dir, "", 0, 0600), 0);
	assert_int_equal(run(""), 1);
	says("look for ");
	assert_int_equal(unlink(dir), 0);
	char where[COORD_PATH_MAX + 32];

	memset(where, 'x', sizeof(where));
	(void) snprintf(where, sizeof(where), "--state=%0*d", COORD_PATH_MAX, 0);
	assert_int_equal(run(where), USAGE_STATUS);
	says("that is too long");
}

static void test_disk(void **state)
{
	fake_store_fails = -ENOSPC;
	assert_int_equal(run(""), 1);
	says("the disk says no");
	assert_false(there(root_dir(), COORD_ROOT_KEY));
	fake_store_fails = 0;
	fake_store_open_fails = -EACCES;
	assert_int_equal(run(""), 1);
	says("the disk says no");
	assert_false(there(root_dir(), COORD_ROOT_KEY));
	fake_store_open_fails = 0;
	assert_int_equal(run(""), 0); /* it is simply run again */
	ledger_free(ledger_of());
}

/*
 * As root all that is hearth-coord's is written by a process of that user; without such a user it
 * is said.
 */
static void test_users(void **state)
{
	if (real_me() != 0)
		it.me = real_me();
	assert_int_equal(run("--user somebody"), 0);
	assert_string_equal(it.as, "somebody");
	if (real_me() != 0)
		skip();
	assert_null(strstr(said, "the files belong to root"));
	(void) snprintf(dir, sizeof(dir), "%s/other", top);
	fake_store_reset();
	it.as[0] = '\0';
	it.no_user = true;
	assert_int_equal(run("--user nobody-there"), 0);
	says("there is no user nobody-there here; the files belong to root");
	assert_string_equal(it.as, "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_made),
		TEST(test_asked),
		TEST(test_wrong_use),
		TEST(test_ranges),
		TEST(test_urls),
		TEST(test_dry_run),
		TEST(test_once),
		TEST(test_cut_off),
		TEST(test_taken_over),
		TEST(test_directories),
		TEST(test_disk),
		TEST(test_users),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
