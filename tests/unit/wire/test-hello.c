/*
 * What real clients say (hello-clients.go made the files) gives its name however it is cut into
 * records and reads; what is made by hand here gives what the RFCs say of it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"
#include "wire/hello.h"

#define N(array)    (sizeof(array) / sizeof((array)[0]))
#define COORDINATOR "c-mfrggzdfmztwq2lknnwg23tpobyxe43uov3ho6dzpiydcmrtgq2q.hearth.internal"

static const struct {
	const char *file, *name;
} clients[] = {
	{ "curl", "relay.example.org" }, /* asked for Relay.Example.org */
	{ "curl-address", "" },
	{ "curl-http2", COORDINATOR },
	{ "curl-tls12", "relay.example.org" },
	{ "gnutls", "relay.example.org" },
	{ "gnutls-alpn", "relay.example.org" },
	{ "go-ech", "public.example.org" },
	{ "go-mlkem", "relay.example.org" },
	{ "go-psk", "relay.example.org" },
	{ "go-tls12", "relay.example.org" },
	{ "node", "relay.example.org" },
	{ "openssl", "relay.example.org" },
	{ "openssl-alpn", "relay.example.org" },
	{ "openssl-noname", "" },
	{ "openssl-split", "relay.example.org" },
	{ "openssl-tls12", "relay.example.org" },
	{ "wget", "localhost" },
};

/* A number of @width bytes. */
static void put(struct buf *b, unsigned width, size_t number)
{
	while (width-- > 0)
		buf_add(b, &(uint8_t){ (uint8_t) (number >> 8 * width) }, 1);
}

static void put_vector(struct buf *b, unsigned width, const void *data, size_t len)
{
	put(b, width, len);
	buf_add(b, data, len);
}

static void put_record(struct buf *b, uint8_t type, const void *fragment, size_t len)
{
	put(b, 1, type);
	put(b, 2, 0x0301);
	put_vector(b, 2, fragment, len);
}

/* A ClientHello's message; @extensions NULL: it ends before them. */
static void put_message(struct buf *b, const void *extensions, size_t len)
{
	CLEANUP_BUF struct buf body = { 0 };

	put(&body, 2, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		put(&body, 1, i);
	put_vector(&body, 1, "session", 7);
	put_vector(&body, 2, "\x13\x01\x13\x02", 4);
	put_vector(&body, 1, "\0", 1);
	if (extensions)
		put_vector(&body, 2, extensions, len);
	put(b, 1, 1);
	put_vector(b, 3, body.data, body.len);
}

static void put_extension(struct buf *b, uint16_t type, const void *data, size_t len)
{
	put(b, 2, type);
	put_vector(b, 2, data, len);
}

/* server_name with one host_name. */
static void put_name(struct buf *b, const void *name, size_t len)
{
	CLEANUP_BUF struct buf names = { 0 }, data = { 0 };

	put(&names, 1, 0);
	put_vector(&names, 2, name, len);
	put_vector(&data, 2, names.data, names.len);
	put_extension(b, 0, data.data, data.len);
}

/* hello_read() of exactly these bytes, on the heap: a sanitizer sees one too many. */
static int read_exactly(struct hello *h, const void *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, data, len);
	r = hello_read(h, copy, len);
	free(copy);
	return r;
}

static int read_once(const struct buf *bytes, struct hello *ret)
{
	*ret = (struct hello){ 0 };
	return read_exactly(ret, bytes->data, bytes->len);
}

/* Byte by byte until there is an answer, and where that was. No call goes far back. */
static int read_bytewise(const struct buf *bytes, struct hello *ret, size_t *ret_len)
{
	int r = -EAGAIN;

	*ret = (struct hello){ 0 };
	for (*ret_len = 0; r == -EAGAIN && *ret_len < bytes->len;) {
		r = read_exactly(ret, bytes->data, ++*ret_len);
		if (r == -EAGAIN) {
			assert_true(*ret_len < HELLO_MAX_LEN);
			assert_in_range(*ret_len - ret->at, 0, HELLO_RECORD_HEAD_LEN - 1);
		}
	}
	return r;
}

static void read_file(const char *name, struct buf *ret)
{
	char path[512];

	(void) snprintf(path, sizeof(path), TEST_SOURCE_DIR "/fuzz/corpus/hello/%s", name);
	assert_int_equal(file_read(path, 1 << 20, ret), 0);
}

/* The message of one or more records, as no code of ours takes it out. */
static void unwrap(const struct buf *records, struct buf *ret_message)
{
	const uint8_t *p = (const uint8_t *) records->data;

	for (size_t at = 0, len; at < records->len; at += 5 + len) {
		assert_true(at + 5 <= records->len);
		len = (size_t) (p[at + 3] << 8 | p[at + 4]);
		assert_true(at + 5 + len <= records->len);
		buf_add(ret_message, p + at + 5, len);
	}
}

static void test_clients(void **state)
{
	for (size_t i = 0; i < N(clients); i++) {
		CLEANUP_BUF struct buf bytes = { 0 };
		struct hello h;
		size_t len;

		read_file(clients[i].file, &bytes);
		assert_int_equal(read_once(&bytes, &h), 0);
		assert_string_equal(h.name, clients[i].name);
		assert_int_equal(read_bytewise(&bytes, &h, &len), 0);
		assert_string_equal(h.name, clients[i].name);
		assert_int_equal(len, bytes.len);
		buf_add(&bytes, "\0\1\2", 3); /* of what comes next nothing is read */
		assert_int_equal(read_once(&bytes, &h), 0);
		assert_string_equal(h.name, clients[i].name);
	}
}

/* A chance of our own, the same in each run (Knuth's MMIX). */
static size_t draw(uint64_t *seed, size_t below)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (size_t) (*seed >> 33) % below;
}

/* Into records of @most bytes, or up to @most by chance. */
static void split(const struct buf *message, size_t most, uint64_t *seed, struct buf *ret)
{
	for (size_t at = 0, n; at < message->len; at += n) {
		n = seed ? 1 + draw(seed, most) : most;
		if (n > message->len - at)
			n = message->len - at;
		put_record(ret, 22, message->data + at, n);
	}
}

static void check_reads(const struct buf *bytes, const char *name, uint64_t *seed)
{
	struct hello h = { 0 };
	size_t most = 1 + draw(seed, 700), len = 0;
	int r;

	do {
		len += 1 + draw(seed, most);
		if (len > bytes->len)
			len = bytes->len;
		r = read_exactly(&h, bytes->data, len);
		assert_int_equal(r, len < bytes->len ? -EAGAIN : 0);
	} while (r);
	assert_string_equal(h.name, name);
}

static void test_splits(void **state)
{
	uint64_t seed = 1;

	for (size_t i = 0; i < N(clients); i++) {
		CLEANUP_BUF struct buf bytes = { 0 }, message = { 0 };

		read_file(clients[i].file, &bytes);
		unwrap(&bytes, &message);
		for (size_t most = 1; most < 200; most++) {
			CLEANUP_BUF struct buf even = { 0 }, uneven = { 0 };
			struct hello h;
			size_t len;

			split(&message, most, NULL, &even);
			split(&message, most, &seed, &uneven);
			check_reads(&even, clients[i].name, &seed);
			check_reads(&uneven, clients[i].name, &seed);
			if (most % 16 != 1)
				continue;
			assert_int_equal(read_bytewise(&uneven, &h, &len), 0);
			assert_int_equal(len, uneven.len);
			assert_string_equal(h.name, clients[i].name);
		}
	}
}

/* Cut, with a length that says so: broken, but where it is a hello without extensions. */
static void test_cut(void **state)
{
	for (size_t i = 0; i < N(clients); i++) {
		CLEANUP_BUF struct buf bytes = { 0 }, message = { 0 };
		unsigned whole = 0;

		read_file(clients[i].file, &bytes);
		unwrap(&bytes, &message);
		for (size_t len = 0; len < message.len - 4; len++) {
			CLEANUP_BUF struct buf cut = { 0 }, record = { 0 };
			struct hello h;
			int r;

			put(&cut, 1, 1);
			put_vector(&cut, 3, message.data + 4, len);
			put_record(&record, 22, cut.data, cut.len);
			r = read_once(&record, &h);
			assert_string_equal(h.name, "");
			assert_true(r == 0 || r == -EBADMSG);
			whole += r == 0;
		}
		assert_int_equal(whole, 1);
	}
}

/* What the extensions are, in hexadecimal, and what is read of them. */
static const struct {
	const char *what, *hex, *name; /* @name NULL: refused */
} blocks[] = {
	{ "a name", "0000 0006 0004 00 0001 61", "a" },
	{ "none", "", "" },
	{ "no name: supported_versions", "002b 0003 020304", "" },
	{ "behind GREASE, one of it empty",
		"0a0a 0000 caca 0001 00 0000 0006 0004 00 0001 61 fafa 0001 00", "a" },
	{ "behind ALPN", "0010 0005 0003 02 6832 0000 0006 0004 00 0001 61", "a" },
	{ "before ALPN", "0000 0006 0004 00 0001 61 0010 0005 0003 02 6832", "a" },
	{ "behind an ECH that hides another",
		"fe0d 0010 00 0001 0001 40 0000 0006 000000000000 0000 0006 0004 00 0001 61", "a" },
	{ "before a pre-shared key",
		"0000 0006 0004 00 0001 61 0029 000e 0007 0001 74 00000000 0003 02 6262", "a" },
	{ "behind what nobody knows, empty and not",
		"ffff 0000 fffe 0002 0000 0000 0006 0004 00 0001 61", "a" },
	{ "behind padding", "0015 0004 00000000 0000 0006 0004 00 0001 61", "a" },
	{ "behind a type of name that nobody knows", "0000 000b 0009 01 0002 6262 00 0001 61",
		"a" },
	{ "before one", "0000 000b 0009 00 0001 61 ff 0002 6262", "a" },
	{ "only such a type", "0000 0007 0005 01 0002 6262", "" },
	{ "twice", "0000 0006 0004 00 0001 61 0000 0006 0004 00 0001 61", NULL },
	{ "twice, other things between", "0000 0006 0004 00 0001 61 002b 0003 020304 0000 0000",
		NULL },
	{ "twice, once without a host", "0000 0006 0004 00 0001 61 0000 0007 0005 01 0002 6262",
		NULL },
	{ "twice, the other way round", "0000 0007 0005 01 0002 6262 0000 0006 0004 00 0001 61",
		NULL },
	{ "two hosts", "0000 000a 0008 00 0001 61 00 0001 62", NULL },
	{ "empty, as in a server's answer", "0000 0000", NULL },
	{ "an empty list", "0000 0002 0000", NULL },
	{ "an empty name", "0000 0005 0003 00 0000", NULL },
	{ "bytes behind the list", "0000 0007 0004 00 0001 61 00", NULL },
	{ "a list longer than the extension", "0000 0006 0005 00 0001 61", NULL },
	{ "a list that ends in a name", "0000 0006 0003 00 0001 61", NULL },
	{ "a name longer than the list", "0000 0006 0004 00 0002 61", NULL },
	{ "a type without a name", "0000 0007 0005 00 0001 61 00", NULL },
	{ "half a length of a name", "0000 0008 0006 00 0001 61 00 00", NULL },
	{ "half a length of the list", "0000 0001 00", NULL },
	{ "an extension longer than the block", "0000 0007 0004 00 0001 61", NULL },
	{ "half a head behind the name", "0000 0006 0004 00 0001 61 00 10 00", NULL },
	{ "half a type behind the name", "0000 0006 0004 00 0001 61 00", NULL },
	{ "another one too long behind the name", "0000 0006 0004 00 0001 61 0010 0001", NULL },
};

static void put_hex(struct buf *b, const char *hex)
{
	char digits[3] = { 0 };

	for (; *hex; hex += hex[0] == ' ' ? 1 : 2) {
		if (hex[0] == ' ')
			continue;
		memcpy(digits, hex, 2);
		put(b, 1, strtoul(digits, NULL, 16));
	}
}

static void check(const char *what, const struct buf *bytes, int code, const char *name)
{
	struct hello h;
	size_t len;
	int once = read_once(bytes, &h), bytewise;

	if (once != code || strcmp(h.name, name))
		fail_msg("%s: %d, '%s'", what, once, h.name);
	bytewise = read_bytewise(bytes, &h, &len);
	if (bytewise != code || strcmp(h.name, name))
		fail_msg("%s, byte by byte: %d, '%s'", what, bytewise, h.name);
}

static void check_extensions(const char *what, const struct buf *extensions, const char *name)
{
	CLEANUP_BUF struct buf message = { 0 }, bytes = { 0 };

	put_message(&message, buf_str(extensions), extensions->len);
	put_record(&bytes, 22, message.data, message.len);
	check(what, &bytes, name ? 0 : -EBADMSG, name ? name : "");
}

static void test_extensions(void **state)
{
	CLEANUP_BUF struct buf message = { 0 }, bytes = { 0 };

	for (size_t i = 0; i < N(blocks); i++) {
		CLEANUP_BUF struct buf extensions = { 0 };

		put_hex(&extensions, blocks[i].hex);
		check_extensions(blocks[i].what, &extensions, blocks[i].name);
	}
	put_message(&message, NULL, 0);
	put_record(&bytes, 22, message.data, message.len);
	check("not even a block of extensions", &bytes, 0, "");
}

#define L63 "abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxy"

static const struct {
	const char *sent, *name;
} names[] = {
	{ "relay.example.org", "relay.example.org" },
	{ "RELAY.Example.ORG", "relay.example.org" },
	{ COORDINATOR, COORDINATOR },
	{ "localhost", "localhost" },
	{ "a--b.xn--bcher-kva.example", "a--b.xn--bcher-kva.example" },
	{ "_sip.my_host.example", "_sip.my_host.example" },
	{ "1.2.3.a4", "1.2.3.a4" },
	{ L63 ".org", L63 ".org" },
	{ L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvw", L63
		"." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvw" },
	{ L63 "." L63 "." L63 ".abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwx",
		NULL },
	{ L63 "z.org", NULL },
	{ "relay.example.org.", NULL },
	{ ".example.org", NULL },
	{ "relay..org", NULL },
	{ ".", NULL },
	{ "-relay.org", NULL },
	{ "relay-.org", NULL },
	{ "relay.-", NULL },
	{ "192.0.2.1", NULL },
	{ "7", NULL },
	{ "2001:db8::1", NULL },
	{ "[2001:db8::1]", NULL },
	{ "relay.example.org:443", NULL },
	{ "relay example.org", NULL },
	{ "*.example.org", NULL },
	{ "../../etc/passwd", NULL },
	{ "b\xc3\xbc"
	  "cher.example",
		NULL },
	{ "relay.example.org\n", NULL },
};

static void test_names(void **state)
{
	CLEANUP_BUF struct buf zero = { 0 };

	for (size_t i = 0; i < N(names); i++) {
		CLEANUP_BUF struct buf extensions = { 0 };

		put_name(&extensions, names[i].sent, strlen(names[i].sent));
		check_extensions(names[i].sent, &extensions, names[i].name);
	}
	put_name(&zero, "relay.example.org\0.example.com", 30);
	check_extensions("a zero in the name", &zero, NULL);
}

/* A ClientHello for "a" in one record, and its message. */
static void put_good(struct buf *ret_message, struct buf *ret_bytes)
{
	CLEANUP_BUF struct buf extensions = { 0 };

	put_name(&extensions, "a", 1);
	put_message(ret_message, extensions.data, extensions.len);
	put_record(ret_bytes, 22, ret_message->data, ret_message->len);
}

/* No ClientHello, and by which byte that is known. */
static void test_others(void **state)
{
	static const struct {
		const char *hex;
		size_t by;
	} others[] = {
		{ "80 2e 01 0002 0015 0000 0010 010080", 1 }, /* SSLv2, as it was */
		{ "80 67 01 0303 004e 0000 0010 010080", 1 }, /* its form with TLS in it */
		{ "474554202f20485454502f312e310d0a", 1 },    /* GET / HTTP/1.1 */
		{ "00", 1 },
		{ "15 0301 0002 0128", 1 },       /* an alert */
		{ "14 0301 0001 01", 1 },         /* change_cipher_spec */
		{ "17 0303 0005 0100000100", 1 }, /* application data */
		{ "16 fefd 0000", 2 },            /* DTLS */
		{ "16 0201 0005 0100000100", 2 },
		{ "16 0301 0000", 5 }, /* an empty record */
		{ "16 0301 4001", 5 }, /* longer than 2^14 */
		{ "16 0301 ffff", 5 },
		{ "16 0301 0005 02", 6 },               /* a ServerHello */
		{ "16 0301 0004 00000000", 6 },         /* a HelloRequest */
		{ "16 0301 0001 01 16 0301 0000", 11 }, /* an empty record in between */
		{ "16 0301 0001 01 15", 7 },            /* an alert in between */
		{ "16 0301 0001 01 17", 7 },
		{ "16 0301 0004 01000000", 9 }, /* nothing in it */
		{ "16 0301 0005 0100000103", 10 },
	};

	for (size_t i = 0; i < N(others); i++) {
		CLEANUP_BUF struct buf bytes = { 0 };
		struct hello h;
		size_t len;

		put_hex(&bytes, others[i].hex);
		check(others[i].hex, &bytes, -EBADMSG, "");
		(void) read_bytewise(&bytes, &h, &len);
		assert_int_equal(len, others[i].by);
	}
}

/* Any minor version goes (RFC 5246 E.1), also one that changes in between. */
static void test_versions(void **state)
{
	CLEANUP_BUF struct buf message = { 0 }, whole = { 0 }, bytes = { 0 };

	put_good(&message, &whole);
	for (size_t i = 0; i < 2; i++) {
		put(&bytes, 1, 22);
		put(&bytes, 2, i ? 0x03ff : 0x0300);
		put_vector(&bytes, 2, message.data + i, i ? message.len - 1 : 1);
	}
	check("versions", &bytes, 0, "a");
}

/* What comes behind the ClientHello in its own record is the server's business. */
static void test_behind(void **state)
{
	CLEANUP_BUF struct buf message = { 0 }, whole = { 0 }, bytes = { 0 };
	struct hello h;
	size_t len;

	put_good(&message, &whole);
	buf_add(&message, "\1\0\0\0", 4);
	put_record(&bytes, 22, message.data, message.len);
	check("more in the record", &bytes, 0, "a");
	assert_int_equal(read_bytewise(&bytes, &h, &len), 0);
	assert_int_equal(len, whole.len);
}

#define RANDOM "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"

/* What stands before the extensions has its bounds, too. */
static void test_body(void **state)
{
	static const struct {
		const char *hex;
		int code;
	} bodies[] = {
		{ "00 0002 1301 01 00", 0 },
		{ "01 ff 0004 1301 1302 02 0001", 0 },
		{ "20 " RANDOM " 0002 1301 01 00", 0 },
		{ "21 " RANDOM "00 0002 1301 01 00", -EBADMSG },
		{ "00 0000 01 00", -EBADMSG },
		{ "00 0003 130113 01 00", -EBADMSG },
		{ "00 0002 1301 00", -EBADMSG },
		{ "00 0002 1301 02 00", -EBADMSG },
		{ "00 0002 1301 01 00 00", -EBADMSG },
		{ "00 0002 1301 01 00 0000", 0 },
		{ "00 0002 1301 01 00 0000 00", -EBADMSG },
		{ "00 0002 1301 01 00 0001", -EBADMSG },
		{ "00 ffff 1301 01 00", -EBADMSG },
	};

	for (size_t i = 0; i < N(bodies); i++) {
		CLEANUP_BUF struct buf body = { 0 }, message = { 0 }, bytes = { 0 };

		put(&body, 2, 0x0303);
		for (unsigned k = 0; k < 32; k++)
			put(&body, 1, k);
		put_hex(&body, bodies[i].hex);
		put(&message, 1, 1);
		put_vector(&message, 3, body.data, body.len);
		put_record(&bytes, 22, message.data, message.len);
		check(bodies[i].hex, &bytes, bodies[i].code, "");
	}
}

/* A message of @len bytes that has its name at the end. */
static void put_large(struct buf *ret_message, size_t len)
{
	CLEANUP_BUF struct buf name = { 0 }, extensions = { 0 }, empty = { 0 };

	put_name(&name, "large.example", 13);
	put_message(&empty, "", 0);
	put(&extensions, 2, 51); /* key_share */
	put(&extensions, 2, len - empty.len - name.len - 4);
	while (extensions.len < len - empty.len - name.len)
		put(&extensions, 1, 0x5a);
	buf_add(&extensions, name.data, name.len);
	put_message(ret_message, extensions.data, extensions.len);
	assert_int_equal(ret_message->len, len);
}

/* The last byte that may be is taken, and not the next, whatever the records are. */
static void test_large(void **state)
{
	static const struct {
		size_t message, record;
		int code;
	} sizes[] = {
		{ 1 << 14, 1 << 14, 0 },
		{ 1 << 14, 1 << 13, 0 },
		{ 1 << 14, 1 << 8, 0 },               /* 64 records */
		{ 1 << 14, (1 << 8) - 1, -EMSGSIZE }, /* 65 */
		{ HELLO_MAX_LEN - 10, 1 << 14, 0 },
		{ HELLO_MAX_LEN - 9, 1 << 14, -EMSGSIZE },
		{ HELLO_MAX_LEN / 6, 1, 0 },
		{ HELLO_MAX_LEN / 6 + 1, 1, -EMSGSIZE },
		{ 5000, 1, -EMSGSIZE },
		{ 60000, 1 << 14, -EMSGSIZE },
	};

	for (size_t i = 0; i < N(sizes); i++) {
		CLEANUP_BUF struct buf message = { 0 }, bytes = { 0 };

		put_large(&message, sizes[i].message);
		split(&message, sizes[i].record, NULL, &bytes);
		check("large", &bytes, sizes[i].code, sizes[i].code ? "" : "large.example");
	}
}

/* What cannot end in time is refused by the byte that says so. */
static void test_too_large(void **state)
{
	static const struct {
		const char *hex;
		size_t by;
		int code;
	} heads[] = {
		{ "16 0301 4000 01 004132", 9, -EAGAIN }, /* with a second head 16,704 */
		{ "16 0301 4000 01 004133", 9, -EMSGSIZE },
		{ "16 0301 4000 01 ffffff", 9, -EMSGSIZE },
		{ "16 0301 0001 01 16 0301 0003 ffffff", 14, -EMSGSIZE },
	};

	for (size_t i = 0; i < N(heads); i++) {
		CLEANUP_BUF struct buf bytes = { 0 };
		struct hello h;
		size_t len;

		put_hex(&bytes, heads[i].hex);
		assert_int_equal(read_bytewise(&bytes, &h, &len), heads[i].code);
		assert_int_equal(len, heads[i].by);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients),
		cmocka_unit_test(test_splits),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_behind),
		cmocka_unit_test(test_body),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
