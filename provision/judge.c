/*
 * judge: see judge.h. Documents with tokens reach kubeadm on its standard input, never as a file
 * that is not wanted yet.
 */
#include "provision/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "sys/exec/exec.h"

enum { OUTPUT_MAX = 16 * 1024, WARNINGS_MAX = 4, FLAGS_MAX = 128 };

/* Without a kubeadm: the version that the files were made for, NULL if none were. */
static const char *made_for(const struct enroll *e, struct buf *text)
{
	char path[PATH_TEXT_MAX];

	if (!e->follows || file_read(paths_join(e->paths.etc, "kubeadm/upgrade.yaml", path),
				   OUTPUT_MAX, text) < 0)
		return NULL;
	char *line = strstr(buf_str(text), JUDGE_MADE_FOR);

	if (!line)
		return NULL;
	line += sizeof(JUDGE_MADE_FOR) - 1;
	line[strcspn(line, "\n")] = 0;
	line[strlen(line) - (*line && line[strlen(line) - 1] == '.')] = 0;
	return kubeadm_version_parse(line, &(struct kubeadm_version){ 0 }, NULL) < 0 ? NULL : line;
}

int judge_find(struct enroll *e, struct judge *ret, struct err *err)
{
	const char *const argv[] = { "kubeadm", "version", "-o", "short", NULL };
	struct exec_options options = {
		.argv = argv, .output_max = OUTPUT_MAX, .timeout_us = 30 * USEC_PER_SEC
	};
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };
	struct kubeadm_version own;
	int r = exec_run(&options, &result, NULL);

	ret->found = r == 0;
	char *line = result.out.data ? result.out.data : (char *) "";

	if (*line)
		line[strcspn(line, "\r\n")] = 0;
	if (e->kubeadm_version) {
		r = kubeadm_version_parse(e->kubeadm_version, &ret->version, err);
		ret->asked = r == 0 && ret->found && kubeadm_version_parse(line, &own, NULL) == 0 &&
			     !strcmp(own.text, ret->version.text);
		return r;
	}
	ret->asked = ret->found;
	if (r == -ENOENT) {
		CLEANUP_BUF struct buf kept = { 0 };
		const char *before = made_for(e, &kept);

		return kubeadm_version_parse(
			before ? before : KUBEADM_VERSION_DEFAULT, &ret->version, err);
	}
	if (r == 0)
		r = exec_check(&result, "kubeadm version -o short", err);
	return r ? r : kubeadm_version_parse(line, &ret->version, err);
}

/* "W1129 22:04:05.000000    1234 file.go:99] the sentence" is told as the sentence. */
static void tell_warnings(struct enroll *e, const char *program, const char *text)
{
	unsigned told = 0;

	while (*text && told < WARNINGS_MAX) {
		size_t n = strcspn(text, "\n");
		const char *head = memchr(text, ']', n);
		const char *from = *text == 'W' && head ? head + 1 : text;

		from += strspn(from, " ");
		int len = (int) (text + n - from);

		if (len > 0) {
			talk_step(&e->talk, TALK_NOTE, "kubeadm", "%s: %.*s", program,
				len < 400 ? len : 400, from);
			told++;
		}
		text += n + (text[n] == '\n');
	}
}

/*
 * Whether @result is a refusal. A judge that could not speak (killed, out of time) does not stop
 * us.
 */
static bool refused(struct enroll *e, const struct exec_result *result, const char *what)
{
	struct err why = { 0 };

	if (result->status > 0)
		return true;
	if (exec_check(result, what, &why) < 0)
		talk_step(&e->talk, TALK_NOTE, "kubeadm", "could not be asked: %s", why.text);
	return false;
}

int judge_documents(struct enroll *e, const struct judge *judge, const json_t *docs,
	const char *name, struct err *err)
{
	const char *const argv[] = { "kubeadm", "config", "validate", "--config", "/dev/stdin",
		NULL };
	CLEANUP_BUF struct buf text = { 0 };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	if (!docs || !judge->asked)
		return 0;
	int r = kubeadm_text(&text, "", docs);

	if (r)
		return err_set(err, r, "out of memory");
	struct exec_options options = { .argv = argv,
		.input = text.data,
		.input_len = text.len,
		.output_max = OUTPUT_MAX,
		.timeout_us = 60 * USEC_PER_SEC };

	r = exec_run(&options, &result, err);
	explicit_bzero(text.data, text.len);
	if (r < 0)
		return r;
	if (refused(e, &result, "kubeadm config validate")) {
		(void) exec_check(&result, "kubeadm config validate", err);
		err->code = -EINVAL;
		return err_prefix(err, "kubeadm %s does not accept %s", judge->version.text, name);
	}
	tell_warnings(e, "kubeadm config validate", buf_str(&result.err));
	return 0;
}

/* --- kubelet --- */

struct flags {
	char *list[FLAGS_MAX]; /* owned but for the first and the last */
	size_t n;
};

static void flags_done(struct flags *flags)
{
	for (size_t i = 1; i < flags->n; i++)
		free(flags->list[i]);
}

static const json_t *arguments_of(const json_t *docs)
{
	size_t i;
	json_t *doc;
	const json_t *list = NULL;

	json_array_foreach(docs, i, doc)
	{
		const json_t *reg = json_object_get(doc, "nodeRegistration");

		list = list ? list : json_object_get(reg, "kubeletExtraArgs");
	}
	return list;
}

static int add_flags(struct flags *flags, const json_t *list)
{
	size_t i;
	json_t *arg;

	json_array_foreach(list, i, arg)
	{
		CLEANUP_BUF struct buf text = { 0 };
		const char *name = json_string_value(json_object_get(arg, "name"));
		const char *value = json_string_value(json_object_get(arg, "value"));

		if (!name || !value || flags->n >= FLAGS_MAX - 2)
			continue;
		buf_printf(&text, "--%s=%s", name, value);
		if (!(flags->list[flags->n] = buf_take(&text, NULL)))
			return -ENOMEM;
		flags->n++;
	}
	return 0;
}

/* With --version kubelet reads its flags, prints a line, and ends before it does anything. */
int judge_kubelet_flags(
	struct enroll *e, const struct judge *judge, const json_t *docs, struct err *err)
{
	CLEANUP(flags_done) struct flags flags = { .list = { (char *) "kubelet" }, .n = 1 };
	CLEANUP_EXEC_RESULT struct exec_result result = { 0 };

	if (!docs || !judge->asked)
		return 0;
	if (add_flags(&flags, arguments_of(docs)))
		return err_set(err, -ENOMEM, "out of memory");
	flags.list[flags.n] = (char *) "--version";
	struct exec_options options = { .argv = (const char *const *) flags.list,
		.output_max = OUTPUT_MAX,
		.timeout_us = 30 * USEC_PER_SEC };

	if (exec_run(&options, &result, NULL) < 0)
		return 0; /* no kubelet yet */
	if (!refused(e, &result, "kubelet --version"))
		return 0;
	if (!strstr(buf_str(&result.err), "flag")) {
		talk_step(&e->talk, TALK_NOTE, "kubeadm",
			"kubelet could not be asked about its flags: "
			"kubelet --version ends with status %d",
			result.status);
		return 0;
	}
	(void) exec_check(&result, "kubelet", err);
	err->code = -EINVAL;
	return err_prefix(err, "kubelet does not accept its flags (kubeletExtraArgs)");
}
