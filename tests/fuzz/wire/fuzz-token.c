/* token_parse(), of a whole token and of the JSON in one. */
#include "round-trip.h"

#include "base/encode.h"
#include "wire/token.h"

static void parse(const char *text)
{
	struct err err = { 0 };
	CLEANUP_TOKEN struct token first = { 0 }, second = { 0 };
	CLEANUP(free_p) char *printed = NULL, *again = NULL;
	int r = token_parse(text, &first, &err);

	if (r && (err.code != r || !err.text[0]))
		abort();
	if (r || token_format(&first, &printed))
		return; /* large unknown lists may not fit again */
	if (token_parse(printed, &second, &err) || token_format(&second, &again) ||
		strcmp(printed, again))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free_p) char *text = malloc(size + 1);
	CLEANUP(free_p) char *body = base64url_encode(data, size);

	memcpy(text, data, size);
	text[size] = '\0';
	parse(text);
	CLEANUP(free_p) char *whole = malloc(strlen(body) + 9);

	memcpy(whole, "hearth1.", 8);
	memcpy(whole + 8, body, strlen(body) + 1);
	parse(whole);
	return 0;
}
