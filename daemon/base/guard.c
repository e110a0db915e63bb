/*
 * guard: see guard.h. All of the memory is locked as it comes to be used, not a few fields: keys
 * are also in what libraries keep of PEM and TLS, on stacks and in buffers.
 */
#include "base/guard.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Sanitizers read themselves with ptrace(2), and reserve terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

void guard_let_lock(void)
{
	const struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	(void) setrlimit(RLIMIT_MEMLOCK, &all); /* if not, less is locked */
}

/* With a limit, what is mapped later fails where that ends: also for a moment as another user. */
static bool may_lock_all(bool keeps_rights)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[2] = { 0 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		return true;
	return keeps_rights && syscall(SYS_capget, &header, caps) == 0 &&
	       caps[0].effective & UINT32_C(1) << CAP_IPC_LOCK;
}

bool guard_memory(bool keeps_rights)
{
	const struct rlimit none = { 0 };

	if (SANITIZED)
		return true;
	(void) setrlimit(RLIMIT_CORE, &none);
	(void) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* a core that goes to a program has no limit */
	if (geteuid() == 0)
		guard_let_lock();
	if (may_lock_all(keeps_rights) && mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0)
		return true;
	(void) munlockall(); /* what an earlier call did with rights that are gone */
	return false;
}
