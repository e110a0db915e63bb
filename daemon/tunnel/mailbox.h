/*
 * mailbox: calls of other threads into one that must never wait. It takes a call when it likes,
 * carries it out between two batches of packets, and answers; who called sleeps until then. The
 * packet path takes a lock only when a call is there.
 *
 * A call is a struct of the owner's that begins with a struct mail.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

struct mail {
	int result;
	bool done;
};

struct mailbox {
	pthread_mutex_t caller; /* held by whoever calls: one call at a time */
	pthread_mutex_t lock;   /* guards the rest */
	pthread_cond_t answered;
	struct mail *mail;
	bool ended;
};

void mailbox_init(struct mailbox *box);
void mailbox_done(struct mailbox *box);

/*
 * Puts @mail in, wakes the thread by @wake_fd (an eventfd), and waits. Returns the answer, or
 * -ENODEV: the thread has ended. Not from that thread.
 */
int mailbox_call(struct mailbox *box, int wake_fd, struct mail *mail);

/* The thread's: what is to be carried out (the caller sleeps until then), NULL: nothing. */
struct mail *mailbox_take(struct mailbox *box);
void mailbox_answer(struct mailbox *box, struct mail *mail, int result);
/* The thread's: it takes no call any more. */
void mailbox_end(struct mailbox *box);
