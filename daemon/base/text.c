/*
 * text: see text.h. UTF-8 as RFC 3629 has it: the shortest form only, no surrogates, up to
 * U+10FFFF.
 */
#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

enum { SAY_MAX = 4096, ESCAPE_MAX = 16, WHOLE_MAX = 4 };

/* How long a character is that begins with @lead, 0: none does. */
static size_t length_of(uint8_t lead)
{
	return lead < 0x80   ? 1
	       : lead < 0xc2 ? 0
	       : lead < 0xe0 ? 2
	       : lead < 0xf0 ? 3
	       : lead < 0xf5 ? 4
			     : 0;
}

/* The character at @in: its length, 0 if it is none (then one byte is to be told), and its code. */
static size_t decode(const uint8_t *in, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = length_of(in[0]);

	if (!n || n > len)
		return 0;
	*ret = n == 1 ? in[0] : in[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		*ret = *ret << 6 | (in[i] & 0x3f);
	}
	return *ret < least[n] || *ret > 0x10ffff || (*ret >= 0xd800 && *ret < 0xe000) ? 0 : n;
}

static bool may_be_shown(uint32_t c, enum text_form form)
{
	static const struct {
		uint32_t first, last;
	} unseen[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f },
		{ 0xad, 0xad }, /* C0, DEL and C1; the soft hyphen */
		{ 0x61c, 0x61c }, { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
		{ 0x200b, 0x200f }, /* no width; marks of direction */
		{ 0x2028, 0x202e }, /* separators; embeddings and overrides (UAX 9) */
		{ 0x2060, 0x206f }, /* isolates; what only programs see */
		{ 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, { 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 },
		{ 0xfff0, 0xfffb }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe0fff }, /* tags */
		{ 0xe000, 0xf8ff },
		{ 0xf0000, 0x10ffff } /* of private use: whatever a font makes of them */
	};

	if (form == TEXT_LINES && (c == '\n' || c == '\t'))
		return true;
	for (size_t i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++)
		if (c >= unseen[i].first && c <= unseen[i].last)
			return false;
	return true;
}

/* The next character as it is shown: how many bytes it takes of @in, and @ret_len there. */
static size_t next(const uint8_t *in, size_t len, enum text_form form, char ret[static ESCAPE_MAX],
	size_t *ret_len)
{
	uint32_t c = 0;
	size_t n = decode(in, len, &c);
	int shown;

	if (n && may_be_shown(c, form)) {
		memcpy(ret, in, n);
		*ret_len = n;
		return n;
	}
	if (!n || c < 0x100)
		shown = snprintf(ret, ESCAPE_MAX, "\\x%02x", n ? (unsigned) c : in[0]);
	else if (c < 0x10000)
		shown = snprintf(ret, ESCAPE_MAX, "\\u%04x", (unsigned) c);
	else
		shown = snprintf(ret, ESCAPE_MAX, "\\U%06x", (unsigned) c);
	*ret_len = (size_t) shown;
	return n ? n : 1;
}

size_t text_clean(const char *in, size_t len, enum text_form form, char *out, size_t size)
{
	const uint8_t *p = (const uint8_t *) in;
	char shown[ESCAPE_MAX];
	size_t at = 0, n;

	if (!size)
		return 0;
	for (size_t i = 0; i < len;) {
		i += next(p + i, len - i, form, shown, &n);
		if (n >= size - at)
			break;
		memcpy(out + at, shown, n);
		at += n;
	}
	out[at] = 0;
	return at;
}

bool text_is_clean(const char *in, size_t len, enum text_form form)
{
	const uint8_t *p = (const uint8_t *) in;
	uint32_t c = 0;

	for (size_t i = 0, n; i < len; i += n) {
		n = decode(p + i, len - i, &c);
		if (!n || !may_be_shown(c, form))
			return false;
	}
	return true;
}

size_t text_whole(const char *in, size_t len)
{
	const uint8_t *p = (const uint8_t *) in;

	for (size_t back = 1; back < WHOLE_MAX && back <= len; back++) {
		uint8_t c = p[len - back];

		if (c < 0x80)
			return len;
		if (c >= 0xc0) /* the last one's lead: it is whole, or waits for its rest */
			return length_of(c) > back ? len - back : len;
	}
	return len;
}

void text_say(FILE *to, const char *format, ...)
{
	char text[SAY_MAX], clean[SAY_MAX];
	int saved = errno; /* %m */
	va_list ap;
	int n;

	va_start(ap, format);
	errno = saved;
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0)
		return;
	(void) text_clean(text, strlen(text), TEXT_LINE, clean, sizeof(clean));
	fprintf(to, "%s\n", clean);
}
