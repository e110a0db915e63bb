/* text: documents as the file that a person opens. */
#include <errno.h>

#include "base/buf.h"
#include "base/yaml.h"
#include "kubeadm/kubeadm.h"

int kubeadm_text(struct buf *ret, const char *head, const json_t *docs)
{
	buf_add_str(ret, head);
	int r = yaml_add_all(ret, docs);

	return r ? r : buf_failed(ret) ? -ENOMEM : 0;
}
