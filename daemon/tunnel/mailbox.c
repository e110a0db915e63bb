/* mailbox: see mailbox.h. */
#include "tunnel/mailbox.h"

#include <errno.h>
#include <stddef.h>
#include <sys/eventfd.h>

void mailbox_init(struct mailbox *box)
{
	*box = (struct mailbox){ 0 };
	(void) pthread_mutex_init(&box->caller, NULL);
	(void) pthread_mutex_init(&box->lock, NULL);
	(void) pthread_cond_init(&box->answered, NULL);
}

void mailbox_done(struct mailbox *box)
{
	(void) pthread_mutex_destroy(&box->caller);
	(void) pthread_mutex_destroy(&box->lock);
	(void) pthread_cond_destroy(&box->answered);
}

int mailbox_call(struct mailbox *box, int wake_fd, struct mail *mail)
{
	*mail = (struct mail){ .result = -ENODEV };
	(void) pthread_mutex_lock(&box->caller);
	(void) pthread_mutex_lock(&box->lock);
	box->mail = mail;
	(void) pthread_mutex_unlock(&box->lock);
	(void) eventfd_write(wake_fd, 1); /* fails only at 2^64-1 */
	(void) pthread_mutex_lock(&box->lock);
	while (!mail->done && !box->ended)
		(void) pthread_cond_wait(&box->answered, &box->lock);
	box->mail = NULL;
	(void) pthread_mutex_unlock(&box->lock);
	(void) pthread_mutex_unlock(&box->caller);
	return mail->result;
}

struct mail *mailbox_take(struct mailbox *box)
{
	struct mail *mail;

	(void) pthread_mutex_lock(&box->lock);
	mail = box->mail && !box->mail->done ? box->mail : NULL;
	(void) pthread_mutex_unlock(&box->lock);
	return mail;
}

/* Signalled without the lock: who wakes would at once sleep again to get it. */
void mailbox_answer(struct mailbox *box, struct mail *mail, int result)
{
	(void) pthread_mutex_lock(&box->lock);
	mail->result = result;
	mail->done = true;
	(void) pthread_mutex_unlock(&box->lock);
	(void) pthread_cond_signal(&box->answered);
}

void mailbox_end(struct mailbox *box)
{
	(void) pthread_mutex_lock(&box->lock);
	box->ended = true;
	(void) pthread_cond_broadcast(&box->answered);
	(void) pthread_mutex_unlock(&box->lock);
}
